package erofs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

var inspector = partitiontest.Inspector[*Volume](Inspect)

// An image of this package has no faults.
func TestCheckOwn(t *testing.T) {
	b, _ := small(t)
	inspector.Sound(t, b)
	shared := file(20_000).Blob()
	for _, nodes := range []map[string]*tree.Node{
		{}, {"/one": tree.NewFile("", plain, shared), "/two": tree.NewFile("", at(3, 4), shared)},
		{"/long": tree.NewSymlink("", plain, strings.Repeat("t", 4090)), "/many": dirOf(20_000)},
	} {
		inspector.Sound(t, partitiontest.Bytes(t, layOut(t, build(t, nodes), testOptions())))
	}
}

// Images of mkfs.erofs have no faults.
func TestCheckMkfs(t *testing.T) {
	hosttest.Need(t, "mkfs.erofs")
	dir := t.TempDir()
	for i := range 300 {
		path := filepath.Join(dir, fmt.Sprint("d", i%7), fmt.Sprintf("name %d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte{byte(i)}, i*i%20_000), 0o644); err != nil {
			t.Fatal(err)
		}
		switch i % 10 {
		case 0:
			_ = os.Link(path, path+" linked")
		case 1:
			_ = os.Symlink(strings.Repeat("target/", i), path+" symlink")
		case 2:
			for name, value := range map[string]string{"user.same": "a value that many files have", "user.own": fmt.Sprint(i)} {
				if err := syscall.Setxattr(path, name, []byte(value), 0); err != nil {
					t.Logf("without extended attributes: %v", err)
				}
			}
		}
	}
	image := filepath.Join(t.TempDir(), "image")
	for _, args := range [][]string{{}, {"-T0"}, {"-x1"}, {"-Eforce-inode-compact"}, {"-Eforce-inode-extended"}, {"-Enoinline_data"}} {
		hosttest.Run(t, "mkfs.erofs", append(append([]string{"--quiet"}, args...), image, dir)...)
		b, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.Join(args, " "), func(t *testing.T) { inspector.Sound(t, b) })
	}
}

// unchecked matches what Explain says about bytes whose value follows from nothing else.
var unchecked = regexp.MustCompile(`^(unused.*|file .*|.*, unused.*|.* device .*|symlink .*|` +
	`inode .*, (i_mode|i_size|i_uid|i_gid|i_mtime|i_mtime_nsec|i_u|i_ino)|directory .*, name of .*|` +
	`.*extended attribute .*, (name|byte \d+|e_name_len|e_name_index|e_value_size)|.*ID \d+ of a shared extended attribute)$`)

// Every flip of a byte is found, or Explain says that it is content, unused, or a value of its own.
func TestFlips(t *testing.T) {
	b, p := small(t)
	inspector.Flips(t, b, 2000, func(rnd *rand.Rand) int64 {
		if rnd.IntN(2) == 0 {
			return superOffset + rnd.Int64N(4096)
		}
		return rnd.Int64N(p.filesAt() * blockSize)
	}, unchecked)
}

// Bytes of a field that are checked, one by one.
func TestCheckFinds(t *testing.T) {
	whole, p := small(t)
	place := func(path string) int { return int(p.place(int32(p.tree.Find(path).ID()))) }
	tail := func(path string) int { return place(path) + int(p.entry(p.tree.Find(path)).header) }
	block := func(n int64) int { return int(n * blockSize) }
	for want, damage := range map[string]func(b []byte){
		"checksum is":                     func(b []byte) { b[superOffset+48] ^= 1 },
		"packed_nid is":                   func(b []byte) { mended(put(b, superOffset+96, 1)) },
		"inos is 99":                      func(b []byte) { mended(put(b, superOffset+16, 99)) },
		"i_nlink is 9, 2 is expected":     func(b []byte) { b[place("/a/dir/file")+nlinkAt(b, place("/a/dir/file"))] = 9 },
		"i_nlink is 9, 3 is expected":     func(b []byte) { b[place("/a")+nlinkAt(b, place("/a"))] = 9 },
		"i_reserved is":                   func(b []byte) { b[place("/a")+12-6*int(b[place("/a")]&1)] = 1 },
		"which inode":                     func(b []byte) { copy(b[place("/a")+20:place("/a")+24], b[place("/b")+20:]) },
		"h_reserved2 is":                  func(b []byte) { b[place("/b")+int(p.entry(p.tree.Find("/b")).bytes())+7] = 1 },
		"file_type is 3":                  func(b []byte) { b[tail("/a")+10] = 3 },
		"reserved is 4":                   func(b []byte) { b[tail("/a")+11] = 4 },
		"nid is":                          func(b []byte) { b[tail("/a")]++ },
		"comes after":                     func(b []byte) { b[tail("/a")+36+3] = '-' },
		"are those of":                    func(b []byte) { le.PutUint32(b[place("/big")+16:], uint32(p.dirsAt())) },
		"are used by nothing":             func(b []byte) { le.PutUint32(b[place("/big")+16:], uint32(p.dirsAt())) },
		"followed by bytes that are not":  func(b []byte) { b[block(p.dirsAt()+1)-1] = 1 },
		"layout 3":                        func(b []byte) { b[place("/big")] = 3<<1 | b[place("/big")]&1 },
		"i_mode 0144 has no known type":   func(b []byte) { le.PutUint16(b[place("/dev")+4:], 0o144) },
		"time with 4278190082":            func(b []byte) { b[place("/dev")+43] = 255 },
		"is not within the file system's": func(b []byte) { mended(put(put(b, superOffset+14, 255), superOffset+15, 255)) },
	} {
		inspector.Finds(t, whole, want, damage)
	}
}

func put(b []byte, at int, c byte) []byte {
	b[at] = c
	return b
}

// nlinkAt is where an inode has the number of links.
func nlinkAt(b []byte, at int) int {
	if b[at]&1 != 0 {
		return 44
	}
	return 6
}

func TestExplain(t *testing.T) {
	b, p := small(t)
	v, err := Read(bytes.NewReader(b), p.Size())
	if err != nil {
		t.Fatal(err)
	}
	id := func(path string) int32 { return int32(p.tree.Find(path).ID()) }
	tail := func(path string) int64 { return p.place(id(path)) + p.entry(p.tree.Find(path)).header }
	for off, want := range map[int64]string{
		5: "unused", superOffset + 25: "superblock, build_time", superOffset + 127: "superblock, reserved", v.Size: "after the file system",
		p.place(id("/big")) + 8:               fmt.Sprintf("inode %d (/big), i_size", p.nids[id("/big")]),
		tail("/a") + 8:                        "directory /a, nameoff of .",
		tail("/a") + 36 + 4:                   "directory /a, name of dir",
		tail("/symlink") + 2:                  "symlink /symlink, byte 2",
		tail("/a/dir/file") + 99:              "file /link, byte 99",
		p.fileAt(id("/big"))*blockSize + 8000: "file /big, byte 8000",
		p.xattrsAt()*blockSize + 1:            "shared extended attribute user.x, e_name_index",
		tail("/c") - 8:                        fmt.Sprintf("inode %d (/c), extended attribute trusted.y, e_name_len", p.nids[id("/c")]),
		p.place(id("/b")) + p.entry(p.tree.Find("/b")).bytes() + 12: fmt.Sprintf("inode %d (/b), ID 0 of a shared extended attribute", p.nids[id("/b")]),
	} {
		if got := v.Explain(off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
}

// FuzzInspect changes some bytes of an image. What Read refuses has a fault, and every byte is explained.
func FuzzInspect(f *testing.F) {
	whole, p := small(f)
	for _, n := range []int{1024, int(p.place(0)), int(p.tailsAt()) * blockSize, int(p.dirsAt()) * blockSize, int(p.xattrsAt()) * blockSize} {
		f.Add([]byte{byte(n), byte(n >> 8), byte(n >> 16), 1, 2, 3, 255, 1})
	}
	f.Fuzz(func(t *testing.T, patches []byte) {
		b := bytes.Clone(whole)
		for ; len(patches) >= 8; patches = patches[8:] { // three bytes of offset, five of content
			at := int(patches[0]) | int(patches[1])<<8 | int(patches[2])<<16
			copy(b[at%len(b):], patches[3:8])
		}
		mended(b)
		v, err := Read(bytes.NewReader(b), int64(len(b)))
		list, _ := inspector.Faults(b)
		if err != nil && len(list) == 0 {
			t.Fatalf("%v, and no fault", err)
		}
		for off := 0; v != nil && off < len(b); off += 1001 {
			if v.Explain(int64(off)) == "" {
				t.Fatalf("byte %d is not explained", off)
			}
		}
	})
}
