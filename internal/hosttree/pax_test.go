package hosttree

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"imprint/internal/hosttest"
	"imprint/internal/posixacl"
	"imprint/internal/tree"
)

// list is an access control list in the form of system calls, of tag, permissions and ID.
func list(entries ...[3]uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return string(b)
}

// someACL lets user 1 and 4242 do more than the group, and has the mask rw-.
var someACL = list([3]uint32{1, 6, 1<<32 - 1}, [3]uint32{2, 7, 1}, [3]uint32{2, 4, 4242}, [3]uint32{4, 4, 1<<32 - 1}, [3]uint32{16, 6, 1<<32 - 1}, [3]uint32{32, 0, 1<<32 - 1})

func TestRecords(t *testing.T) {
	for _, c := range []struct {
		kind    tree.Kind
		records map[string]string
		want    map[string]string // extended attributes
		mode    uint16            // from 0640
	}{
		{tree.File, map[string]string{"mtime": "1.5", "SCHILY.ino": "3", "LIBARCHIVE.creationtime": "1", "comment": "x"}, nil, 0o640},
		{tree.File, map[string]string{"SCHILY.xattr.user.a=b": "c\x00d"}, map[string]string{"user.a=b": "c\x00d"}, 0o640},
		{tree.File, map[string]string{"LIBARCHIVE.xattr.user.a%3Db%25": "YwBk", "SCHILY.xattr.user.a=b%": "c\x00d"}, map[string]string{"user.a=b%": "c\x00d"}, 0o640},
		{tree.File, map[string]string{"LIBARCHIVE.xattr.user.a": "YQ=="}, map[string]string{"user.a": "a"}, 0o640},
		{tree.File, map[string]string{seLinux: "system_u:object_r:bin_t:s0"}, map[string]string{"security.selinux": "system_u:object_r:bin_t:s0\x00"}, 0o640},
		{tree.File, map[string]string{aclAccess: "user::rw-\nuser:daemon:rwx:1\ngroup::r--\nmask::rw-\nother::---\nuser:4242:r--\n"},
			map[string]string{"system.posix_acl_access": someACL}, 0o660},
		{tree.File, map[string]string{aclAccess: "u::rw-,g::r--,o:---,u:1:rwx#effective:rw-,u:4242:r,m:rw"}, map[string]string{"system.posix_acl_access": someACL}, 0o660},
		{tree.File, map[string]string{schilyXattr + "user.a%3Db%25": "c"}, map[string]string{"user.a=b%": "c"}, 0o640},
		{tree.File, map[string]string{aclAccess: "user:daemon:rwx", schilyXattr + aclAccessXattr: someACL}, map[string]string{"system.posix_acl_access": someACL}, 0o660},
		{tree.File, map[string]string{aclAccess: "user::rwx\ngroup::r-x\nother::r-x\n"}, nil, 0o755},
		{tree.File, map[string]string{aclAccess: "\n", aclDefault: ""}, nil, 0o640},
		{tree.Dir, map[string]string{aclDefault: "default:user::rwx,default:group::r-x,default:other::---"},
			map[string]string{"system.posix_acl_default": list([3]uint32{1, 7, 1<<32 - 1}, [3]uint32{4, 5, 1<<32 - 1}, [3]uint32{32, 0, 1<<32 - 1})}, 0o640},
	} {
		h := Host{Kind: c.kind, Mode: 0o640}
		if err := h.takeRecords(c.records); err != nil {
			t.Errorf("%q: %v", c.records, err)
			continue
		}
		if h.Mode != c.mode || len(h.Xattrs) != len(c.want) {
			t.Errorf("%q: mode %#o and %q; want %#o and %q", c.records, h.Mode, h.Xattrs, c.mode, c.want)
		}
		for _, x := range h.Xattrs {
			if c.want[x.Name] != string(x.Value) {
				t.Errorf("%q: %s is %q; want %q", c.records, x.Name, x.Value, c.want[x.Name])
			}
		}
	}
}

// A record reaches the image, or is refused by its name.
func TestRecordsRefused(t *testing.T) {
	for key, value := range map[string]string{
		"SCHILY.fflags": "immutable", "SCHILY.acl.ace": "owner@:rwx", "SCHILY.realsize": "9", "SUN.devmajor": "1", "GNU.dumpdir": "Ya", "org.example\x1b": "x",
		"LIBARCHIVE.xattr.user.%zz": "", "LIBARCHIVE.xattr.user.a": "*", "SCHILY.xattr.": "", "SCHILY.xattr.user.\x00": "",
		aclDefault: "user::rwx,group::r-x,other::r-x",
	} {
		h := Host{Kind: tree.File}
		if err := h.takeRecords(map[string]string{key: value}); err == nil || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%q: %v", key, err)
		} else if name, _, _ := strings.Cut(key, "\x1b"); !strings.Contains(err.Error(), strings.TrimSuffix(name, "\x00")) && !strings.Contains(err.Error(), "name") {
			t.Errorf("%q: %v", key, err)
		}
	}
	h := Host{}
	err := h.takeRecords(map[string]string{"SCHILY.xattr.user.a": "b", "LIBARCHIVE.xattr.user.a": "Yw"})
	if err == nil || !strings.Contains(err.Error(), "two values") {
		t.Errorf("two values give %v", err)
	}
	for text, want := range map[string]string{
		"user:joe:rwx,user::rwx,group::r-x,mask::rwx,other::---": "a name without its number", "user::rwx,group::r-x": "not one entry each",
		"user::rwx,group::r-x,other::r-x,user:1:r": "no mask", "user::rwx,user::rwx,group::r-x,other::r-x": "two entries",
		"user::rwz,group::r-x,other::r-x": "other than r, w and x", "who::r": "no tag", "user:4294967295:r": "no ID", "other:x:r--": "a name",
		strings.Repeat("user:1:r\n", posixacl.Max+1): "more than",
	} {
		if _, err := posixacl.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q gives %v; want %q", text, err, want)
		}
	}
}

// Lists and attributes are read from archives of both tars, each with its own records, as the file had them.
func TestTarOfFilesWithACLs(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "f")
	if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(path, aclAccessXattr, []byte(someACL), 0); err != nil {
		t.Skipf("no access control lists in %s: %v", top, err)
	}
	if err := unix.Setxattr(path, "user.some", []byte("a=b\n\x00c"), 0); err != nil {
		t.Skipf("no extended attributes in %s: %v", top, err)
	}
	for _, tool := range []struct {
		name string
		args []string
	}{{"tar", []string{"--acls", "--xattrs", "--format=posix"}}, {"bsdtar", []string{"--format=pax"}}} {
		t.Run(tool.name, func(t *testing.T) {
			hosttest.Need(t, tool.name)
			file := filepath.Join(t.TempDir(), "a.tar")
			hosttest.Run(t, tool.name, append(tool.args, "-cf", file, "-C", top, "f")...)
			entries, err := Tar(file, TarOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := []tree.Xattr{{Name: aclAccessXattr, Value: []byte(someACL)}, {Name: "user.some", Value: []byte("a=b\n\x00c")}}
			a := entries[0].Node.Attr
			if a.Mode != 0o660 || fmt.Sprint(a.Xattrs) != fmt.Sprint(want) {
				t.Errorf("mode %#o and %q; want 0660 and %q", a.Mode, a.Xattrs, want)
			}
		})
	}
}

// The numbers of a device may be in records.
func TestTarDeviceRecords(t *testing.T) {
	h := &tar.Header{Typeflag: tar.TypeBlock, Name: "d", PAXRecords: map[string]string{"SCHILY.devmajor": "4095", "SCHILY.devminor": "1048575"}}
	entries, err := unpacked(packed(t, h), TarOptions{Special: true})
	if err != nil || entries[0].Node.Device() != (tree.Device{Major: 4095, Minor: 1048575}) {
		t.Errorf("got %v, %v", entries, err)
	}
}

// The attributes from any records are sorted, and a list is one that the kernel takes.
func FuzzRecords(f *testing.F) {
	f.Add(aclAccess, "user::rw-\nuser:daemon:rwx:1\ngroup::r--\nmask::rw-\nother::---\n", aclDefault, "u::7,g::r,o:r")
	f.Add(schilyXattr+aclAccessXattr, someACL, "LIBARCHIVE.xattr.user.%41", "YWI=")
	f.Add(seLinux, "a:b:c", "SCHILY.devmajor", "7")
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		h := Host{Kind: tree.Dir}
		if err := h.takeRecords(map[string]string{key1: value1, key2: value2}); err != nil {
			return
		}
		if !slices.IsSortedFunc(h.Xattrs, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) }) || h.Mode > 0o7777 {
			t.Errorf("mode %#o, %q", h.Mode, h.Xattrs)
		}
		for _, x := range h.Xattrs {
			if x.Name != aclAccessXattr && x.Name != aclDefaultXattr {
				continue
			}
			again, err := posixacl.Decode(x.Value)
			if err != nil || !bytes.Equal(again.Encode(), x.Value) {
				t.Errorf("%q: %v", x.Value, err)
			}
		}
	})
}

// The mode of a file with a list has the mask in place of the group's rights; without the list it has the group's own.
func TestScanOfFilesWithACLs(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "f")
	if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, top} {
		if err := unix.Setxattr(p, aclAccessXattr, []byte(someACL), 0); err != nil {
			t.Skipf("no access control lists in %s: %v", top, err)
		}
	}
	n, err := new(Scanner).Read(top)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*tree.Node{n, n.Child("f")} {
		if n.Attr.Mode != 0o640 {
			t.Errorf("mode of the %v is %#o", n.Kind(), n.Attr.Mode)
		}
	}
}
