package verity

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

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
