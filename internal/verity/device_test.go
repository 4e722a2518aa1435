package verity

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/repro"
)

// The hash device has the bytes of veritysetup, for trees of none to three levels.
func TestDeviceIsThatOfVeritysetup(t *testing.T) {
	hosttest.Need(t, "veritysetup")
	id := repro.SeedOf("verity").UUID("id")
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, blocks := range []int{1, 2, 127, 128, 129, 1000, 128*128 + 1} {
		data := make([]byte, blocks*BlockSize)
		for i := 0; i < len(data); i += 1 + rnd.IntN(100000) {
			data[i] = byte(i)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "data"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		out := hosttest.Run(t, "veritysetup", "format", "--salt=-", "--uuid="+id.String(), dir+"/data", dir+"/hash")
		theirs, err := os.ReadFile(dir + "/hash")
		if err != nil {
			t.Fatal(err)
		}
		leaves := make([]Hash, blocks)
		Leaves(data, leaves)
		tree := NewTree(leaves)
		ours := tree.Device(id)
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%d blocks: %d bytes, veritysetup has %d", blocks, len(ours), len(theirs))
		}
		if !regexp.MustCompile(fmt.Sprintf(`Root hash: *\t*%x`, tree.Root)).MatchString(out) {
			t.Errorf("%d blocks: root %x\n%s", blocks, tree.Root, out)
		}
	}
}

// Any part of a hash device can be read alone, and its size is known from that of the data.
func TestReadDevice(t *testing.T) {
	id := repro.SeedOf("verity").UUID("id")
	for _, blocks := range []int{1, 2, 128, 129, 128*128 + 1} {
		leaves := make([]Hash, blocks)
		for i := range leaves {
			leaves[i][i%32] = byte(i)
		}
		tree := NewTree(leaves)
		whole := tree.Device(id)
		if size := DeviceSize(int64(blocks) * BlockSize); size != int64(len(whole)) {
			t.Errorf("%d blocks: %d bytes, want %d", blocks, len(whole), size)
		}
		for off := 0; off < len(whole); off += 1 + len(whole)/7 {
			part := make([]byte, min(5000, len(whole)-off))
			if tree.ReadDevice(id, part, int64(off)); !bytes.Equal(part, whole[off:off+len(part)]) {
				t.Errorf("%d blocks: the bytes at %d differ", blocks, off)
			}
		}
	}
}

// checked returns the faults of data and its hash device.
func checked(t testing.TB, data, device []byte) (faults []string, err error) {
	t.Helper()
	err = Check(t.Context(), Reader{bytes.NewReader(data), int64(len(data))}, Reader{bytes.NewReader(device), int64(len(device))},
		func(f fault.Fault) { faults = append(faults, f.String()) })
	return faults, err
}

func TestCheck(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 300*BlockSize/16)
	leaves := make([]Hash, 300)
	Leaves(data, leaves)
	device := NewTree(leaves).Device(repro.SeedOf("x").UUID("id"))
	if faults, err := checked(t, data, device); err != nil || len(faults) > 0 {
		t.Errorf("faults %q, %v", faults, err)
	}
	for want, change := range map[string]func(data, device []byte) ([]byte, []byte){
		"dm-verity level 0: block 7 has":     func(d, v []byte) ([]byte, []byte) { d[7*BlockSize]++; return d, v },
		"byte 8192: dm-verity level 0: blo":  func(d, v []byte) ([]byte, []byte) { v[2*BlockSize]++; return d, v },
		"byte 4160: dm-verity level 1: blo":  func(d, v []byte) ([]byte, []byte) { v[BlockSize+64]++; return d, v },
		"but the partition has 4096":         func(d, v []byte) ([]byte, []byte) { return d[:BlockSize], v },
		"the tree has 20480 bytes, but":      func(d, v []byte) ([]byte, []byte) { return d, v[:4*BlockSize] },
		"no hash device without a salt, of ": func(d, v []byte) ([]byte, []byte) { v[80]++; return d, v },
	} {
		changed, tree := change(bytes.Clone(data), bytes.Clone(device))
		faults, err := checked(t, changed, tree)
		if text := fmt.Sprint(faults, err); !strings.Contains(text, want) {
			t.Errorf("%s, want %s", text, want)
		}
	}
}

// Any hash device is refused, or compared without a panic.
func FuzzCheck(f *testing.F) {
	leaves := make([]Hash, 3)
	data := make([]byte, 3*BlockSize)
	Leaves(data, leaves)
	f.Add(NewTree(leaves).Device(repro.SeedOf("x").UUID("id")))
	f.Add(make([]byte, BlockSize))
	hosttest.Fuzz(f, func(t *testing.T, device []byte) { checked(t, data, device) })
}
