package disk_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/write"
)

// small makes an image of a description over a small store.
func small(t *testing.T, text string) ([]byte, string) {
	t.Helper()
	w := imagetest.New(t)
	lib := w.Item("lib", nil, map[string]string{"lib.so": strings.Repeat("lib", 3000), "doc/a": "a", "doc/b": "b"})
	app := w.Item("app", []string{lib}, map[string]string{"run": strings.Repeat("a program", 500), "lib": "-> " + lib, "empty": ""})
	w.File("rootfs/etc/hosts", "127.0.0.1 localhost\n")
	w.File("blob.bin", strings.Repeat("blob", 2000))
	p, err := w.Plan(strings.ReplaceAll(text, "%s", app))
	if err != nil {
		t.Fatal(err)
	}
	b, _, result := imagetest.Build(t, p, write.Options{})
	return b, result.Digests.Image
}

const closure = `
[[closure]]
name = "app"
roots = ["%s"]
profile = "app"
`

const esp = `
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
  [[partition.file]]
  path = "/EFI/a long name of a file"
  source = "blob.bin"
`

const root = `
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["app"]
  [[partition.tree]]
  source = "rootfs"
`

const tree = `
[[partition]]
name = "tree"
filesystem = "iso9660"
label = "TEST"
  [[partition.tree]]
  source = "rootfs"
`

const inside = `
[[partition]]
name = "inner"
filesystem = "erofs"
inside = "tree"
path = "/images/inner"
closures = ["app"]
  [[partition.tree]]
  source = "rootfs"
`

// What no checksum, no copy and no hash covers: what is not in use; contents outside of the store, and the names, times and attributes of
// files in formats that have no checksums; boot code; identifiers and labels.
var uncovered = regexp.MustCompile(`\bunused\b|\breserved\b|\bpadding\b|\bfree\b|\btail after\b|\bjournal\b|boot code|BootCode|: file /(etc|EFI|nix/var)/.*, byte \d+$` +
	`|: boot sector, |: directory entry of |: (primary|supplementary) volume descriptor, |: directory /.*, record of |: continuation area |after the |MBR, UniqueMBRDiskSignature` +
	`|: system area|: bad cluster|outside of the file system`)

// A byte that changes is found, or its explanation says why it is not. With the digest of the whole image every one is found.
func TestEveryByteFoundOrExplained(t *testing.T) {
	for name, text := range map[string]string{
		"GPT with ext4 and FAT": closure + esp + root,
		"MBR with ext4 and FAT": "table = \"mbr\"\n" + closure + strings.Replace(esp, `"esp"`+"\nfile", `"0x0e"`+"\nfile", 1) + root,
		"ISO":                   "format = \"iso\"\nepoch = 86400\n" + closure + strings.Replace(tree, "label", "closures = [\"app\"]\nlabel", 1) + esp,
		"ISO with EROFS":        "format = \"iso\"\nepoch = 86400\n" + closure + tree + inside + esp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, digest := small(t, text)
			random := rand.New(rand.NewSource(1))
			found := 0
			for i := range 200 {
				off := place(random, b)
				bit := byte(1) << random.Intn(8)
				b[off] ^= bit
				faults, said := look(t, b, off)
				if faults > 0 {
					found++
				} else if !uncovered.MatchString(said) {
					t.Errorf("byte %d is changed, and not found: it is %s", off, said)
				}
				if got, err := write.Digest(t.Context(), bytes.NewReader(b), int64(len(b))); i%50 == 0 && (err != nil || got == digest) {
					t.Errorf("byte %d is changed, and the digest is the same: %v", off, err)
				}
				b[off] ^= bit
			}
			if found < 50 {
				t.Errorf("only %d of 200 changes were found", found)
			}
		})
	}
}

// place returns an offset: in a quarter of all cases of any byte, else of one in a block that is not all zeros, where structures are.
func place(random *rand.Rand, b []byte) int64 {
	const block = 512
	anywhere := random.Intn(4) == 0
	for {
		off := random.Intn(len(b))
		at := off / block * block
		if anywhere || len(bytes.Trim(b[at:at+block], "\x00")) > 0 {
			return int64(off)
		}
	}
}

// look verifies an image, and says what the byte at an offset is. One that cannot be opened any more is a fault.
func look(t *testing.T, b []byte, off int64) (faults int, said string) {
	t.Helper()
	d, err := disk.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return 1, ""
	}
	if err := d.Verify(t.Context(), func(disk.Fault) { faults++ }); err != nil {
		t.Fatal(err)
	}
	return faults, d.Explain(off)
}

// Of the content of a file, verify says whether a hash covers it, also in a file system that is a file.
func TestCover(t *testing.T) {
	const none, nar = "no hash in the image covers it", "the NAR hash of its store item covers it"
	for name, c := range map[string]struct{ text, content, want string }{
		"of an item":          {closure + root, "a programa program", nar},
		"of another file":     {closure + root, "127.0.0.1 localhost", none},
		"in EROFS":            {"format = \"iso\"\nepoch = 86400\n" + closure + tree + inside, "a programa program", nar},
		"outside of any file": {closure + root, "EFI PART", ""},
	} {
		b, _ := small(t, c.text)
		d, err := disk.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		off := int64(bytes.Index(b, []byte(c.content)))
		if got := d.Cover(t.Context(), off); got != c.want {
			t.Errorf("a byte %s, %s: %q", name, d.Explain(off), got)
		}
	}
}

// What nobody knows counts as unread, but GRUB's core image does not, and a squashfs that is damaged has an error.
func TestUnread(t *testing.T) {
	const bare = "[[partition]]\nname = \"%s\"\ntype = \"%s\"\nfilesystem = \"none\"\nsize = \"1MiB\"\n"
	b, _ := small(t, closure+root+"\n"+fmt.Sprintf(bare, "core", "bios-boot")+fmt.Sprintf(bare, "a", "linux-generic")+fmt.Sprintf(bare, "b", "linux-generic"))
	d, err := disk.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Find("a")
	if err != nil {
		t.Fatal(err)
	}
	copy(b[r.Offset:], "hsqs")
	if d, err = disk.Open(bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range d.Unread() {
		got = append(got, r.String()+r.Kind)
	}
	if want := []string{`"b"`}; !slices.Equal(got, want) {
		t.Errorf("unread %q, not %q", got, want)
	}
	if r, err = d.Find("a"); err != nil || r.Kind != "squashfs" || r.Err == nil {
		t.Errorf("%v, %q: %v", err, r.Kind, r.Err)
	}
}
