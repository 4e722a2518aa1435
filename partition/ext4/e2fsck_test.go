package ext4

import (
	"fmt"
	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// damages are changes with debugfs that e2fsck reports, with the faults that Check finds.
var damages = []struct{ args, commands, want string }{
	{"", "sif /files/1 links_count 3", "i_links_count is 3, 1 is expected"},
	{"", "sif /deep links_count 9", "i_links_count is 9, 3 is expected"},
	{"", "sif /deep links_count 1", "i_links_count"},
	{"", "sif /files/40000 size 100", "i_size is 100, block 39 was written"},
	{"", "sif /files/40000 blocks 8", "i_blocks is 8 sectors"},
	{"", "sif /files/40000 dtime 5", "i_dtime is 5"},
	{"", "sif /files/40000 mode 0", "mode"},
	{"", "sif /files/40000 faddr 7", "i_obso_faddr"},
	{"", "sif /files/40000 flags 0x81000", "i_flags says index"},
	{"", "sif /files/40000 file_acl 30", "block 30"},
	{"", "sif /fifo size 7", "content of 7 bytes"},
	{"", "sif /link-200 size 100", "symlink target of 200 bytes"},
	{"", "sif /link-59 size 3", "symlink target of 59 bytes"},
	{"", "sif /many size 4096", "directory of 4096 bytes"},
	{"", "sif /deep mode 0100755", "is a directory"},
	{"", "unlink /files/4096", "no name leads to it"},
	{"", "unlink /deep/er", "no name leads to it"},
	{"", "clri /files/4096", "not in use"},
	{"", "freei /files/4096", "in use and marked as free"},
	{"", "seti <600>", ""},
	{"-O ^metadata_csum", "setb 50000 5", "marked as used and nothing uses them"},
	{"", "freeb 1", "in use and marked as free"},
	{"", "link /deep /files/second", "second name"},
	{"", "link /files/1 /files/third", "i_links_count is 1, 2 is expected"},
	{"", "ssv free_blocks_count 5", "s_free_blocks_count is 5"},
	{"", "ssv free_inodes_count 5", "s_free_inodes_count is 5"},
	{"", "ssv jnl_blocks[3] 77", "s_jnl_blocks"},
	{"", "ssv state 2", "state 0x2"},
	{"", "ssv last_orphan 20", "orphan"},
	{"", "ssv hash_seed 01234567-89ab-cdef-0123-456789abcdef", "hash"},
	{"", "set_bg 0 free_blocks_count 3", "bg_free_blocks_count is 3"},
	{"", "set_bg 0 used_dirs_count 3", "bg_used_dirs_count is 3"},
	{"", "set_bg 0 itable_unused 3000", ""},
	{"", "set_bg 0 block_bitmap 99999999", "block bitmap"},
	{"", "set_bg 0 checksum 3", "checksum"},
	{"", "sif /files/40000 block[2] 0x00010001", ""},
	{"-O ^extent,^64bit", "sif /files/40000 block[0] 3", "in use by something else"},
	{"-O ^extent,^64bit", "sif /files/40000 block[0] 99999999", "are not within"},
	{"-O ^extent,^64bit", "sif /files/900000 block[IND] 0", "i_blocks"},
	{"-O ^metadata_csum", "sif /files/40000 links_count 2", "i_links_count is 2"},
	{"-O ^metadata_csum", "sif /files/1 generation 9", "-"},
	{"-b 1024", "sif <7> block[0] 50", "double indirect"},
	{"", "sif <8> size 4096", "journal"},
	{"", "sif <2> mode 0100755", "the root"},
	{"-O inline_data", "sif /files/100 size 5000", "inline content of 5000 bytes"},
}

// Whatever e2fsck calls an error after a change, Check does too.
func TestCheckAgreesWithE2fsck(t *testing.T) {
	hosttest.Need(t, "mke2fs", "e2fsck", "debugfs")
	t.Parallel()
	dir := sourceDir(t)
	originals := map[string]string{}
	for i, c := range damages {
		t.Run(fmt.Sprint(i, c.args, c.commands), func(t *testing.T) {
			if originals[c.args] == "" {
				originals[c.args] = filepath.Join(dir, "..", fmt.Sprint("image", len(originals)))
				tool(t, "mke2fs", append(strings.Fields("-t ext4 "+c.args), "-q", "-F", "-d", dir, originals[c.args], "60M")...)
				runFsck(originals[c.args], "-fyD")
			}
			image := filepath.Join(t.TempDir(), "image")
			tool(t, "cp", "--sparse=always", originals[c.args], image)
			if out, err := exec.Command("debugfs", "-w", "-R", c.commands, image).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			out, code := runFsck(image, "-fn")
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			st, _ := f.Stat()
			var found []string
			if v, err := Open(f, st.Size()); err != nil {
				found = []string{err.Error()}
			} else {
				found = faults(v)
			}
			if code != 0 && found == nil {
				t.Errorf("e2fsck says\n%.2000s", out)
			}
			if code == 0 && found != nil && c.want == "-" {
				t.Errorf("e2fsck says nothing, Check %.2000s", strings.Join(found, "\n"))
			}
			if c.want != "-" && !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, c.want) }) && (c.want != "" || code != 0) {
				t.Errorf("Check does not say %q but\n%.2000s\ne2fsck says (%d)\n%.2000s", c.want, strings.Join(found, "\n"), code, out)
			}
		})
	}
}

// Check reports every changed bit of a structure that e2fsck reports.
func TestFlipsWithE2fsck(t *testing.T) {
	hosttest.Need(t, "mke2fs", "e2fsck")
	t.Parallel()
	dir := sourceDir(t)
	count := 6
	if slow() {
		count = 60
	}
	for _, args := range []string{
		"-t ext4", "-t ext2", "-t ext4 -O ^metadata_csum,uninit_bg", "-t ext4 -O inline_data -b 4096", "-t ext4 -O ^metadata_csum,meta_bg,^resize_inode -b 1024",
		"-t ext4 -O ^metadata_csum,bigalloc -C 16384", "-t ext4 -O ^metadata_csum,orphan_file",
	} {
		t.Run(args, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			tool(t, "mke2fs", append(strings.Fields(args), "-q", "-F", "-d", dir, path, "24M")...)
			runFsck(path, "-fyD")
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			clean, err := Read(f, 24<<20)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(3, uint64(len(args))))
			both := [3]int{}
			for _, at := range structureBytes(clean, r, count) {
				both[flipBoth(t, f, clean, at, 1<<r.IntN(8))]++
			}
			t.Logf("%d flips were reported by both, %d by Check alone, %d by none", both[2], both[1], both[0])
		})
	}
}

// structureBytes draws some bytes from each kind of structure; those of superblocks come from all of them.
func structureBytes(v *Volume, r *rand.Rand, count int) (all []int64) {
	byKind := map[claimKind][]claim{}
	for _, m := range v.explain().claims {
		if m.kind != contentClaim || strings.HasPrefix(v.Explain(m.start*v.blockSize), "directory") {
			byKind[m.kind] = append(byKind[m.kind], m)
		}
	}
	for kind := range xattrClaim + 1 {
		claims := byKind[kind]
		for range count * min(1, len(claims)) {
			m := claims[r.IntN(len(claims))]
			size := m.blocks * v.blockSize
			switch kind {
			case inodeTableClaim:
				size = min(size, 800*v.inodeBytes)
			case descClaim:
				size = min(size, 6*v.descBytes)
			}
			all = append(all, m.start*v.blockSize+r.Int64N(size))
		}
	}
	return all
}

// flipBoth changes a byte for a moment and compares what e2fsck and Check find: 2 if both report it, 1 for Check alone, 0 for none.
func flipBoth(t *testing.T, f *os.File, clean *Volume, at int64, bits byte) int {
	t.Helper()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ bits}, at); err != nil {
		t.Fatal(err)
	}
	out, code := runFsck(f.Name(), "-fn")
	v, err := Open(f, clean.Size)
	reported := err != nil
	if err == nil {
		v.Check(func(fault.Fault) { reported = true })
	}
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	switch {
	case code != 0 && reported:
		return 2
	case code != 0:
		t.Errorf("byte %d (%s), bits 0x%x: e2fsck says\n%.1500s", at, clean.Explain(at), bits, out)
	case reported:
		return 1
	}
	return 0
}

// runFsck runs e2fsck and returns its output and exit code.
func runFsck(image string, args ...string) (output string, code int) {
	cmd := exec.Command("e2fsck", append(args, image)...)
	cmd.Env = append(os.Environ(), "E2FSCK_TIME=1900000000") // not in the second in which the image was made
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}
