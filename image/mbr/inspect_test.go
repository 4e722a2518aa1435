package mbr

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

	"github.com/google/go-cmp/cmp"
)

// A vast disk is zeros after its bytes.
type vast []byte

func (v vast) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(v)) {
		copy(p, v[off:])
	}
	return len(p), nil
}

func inspect(b []byte, size int64) (Table, []string, error) {
	var list []string
	t, err := Inspect(vast(b), size, 0, func(f fault.Fault) { list = append(list, f.String()) })
	return t, list, err
}

func TestInspect(t *testing.T) {
	whole, size := bytesOf(t, full), full.Sectors*512
	got, list, err := inspect(whole, size)
	if diff := cmp.Diff(full, got); diff != "" || err != nil || len(list) > 0 {
		t.Fatalf("%v, %q\n%s", err, list, diff)
	}
	if notes := got.Notes(); notes != nil {
		t.Errorf("notes %q", notes)
	}
	for want, damage := range map[string]func(b []byte){
		"Signature is 54 aa, 55 aa is expected":        func(b []byte) { b[510]-- },
		"BootIndicator is 0x01":                        func(b []byte) { b[446]++ },
		"partition 2 is active, but so is partition 1": func(b []byte) { b[446] = active },
		"OSType is 0, as of an unused record":          func(b []byte) { b[446+4] = 0 },
		"partition 2 has sectors 4096":                 func(b []byte) { b[446+12+2] = 1 },
		"the disk has 1048576":                         func(b []byte) { b[446+3*16+15] = 1 },
		"0 sectors from sector 2048":                   func(b []byte) { b[446+12] = 0 },
		"StartingCHS and EndingCHS are 21 21 00":       func(b []byte) { b[446+1]++ },
		"type 0x0f: extended partitions":               func(b []byte) { b[446+4] = 0x0f },
		"type 0xee: the disk has a GPT":                func(b []byte) { b[446+4] = 0xee },
	} {
		b := bytes.Clone(whole)
		damage(b)
		_, list, err := inspect(b, size)
		if all := strings.Join(append(list, fmt.Sprint(err)), "\n"); !strings.Contains(all, want) {
			t.Errorf("not %q:\n%s", want, all)
		}
	}
}

// Every flip of a byte of the table is found, but in values that nothing else tells.
func TestInspectFlips(t *testing.T) {
	free := regexp.MustCompile(`^MBR, (BootCode|UniqueMBRDiskSignature|Unknown|record \d, (OSType|BootIndicator))$`)
	b := bytesOf(t, full)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		off, bit := signatureOff+rnd.IntN(Size-signatureOff), byte(1)<<rnd.IntN(8)
		what := Explain(vast(b), full.Sectors*512, 512, int64(off))
		b[off] ^= bit
		if _, list, err := inspect(b, full.Sectors*512); err == nil && len(list) == 0 && !free.MatchString(what) {
			t.Errorf("byte %d, %s: bit 0x%02x is another and nothing is found", off, what, bit)
		}
		b[off] ^= bit
	}
}

func TestInspectSfdisk(t *testing.T) {
	hosttest.Need(t, "sfdisk", "sh")
	disk := filepath.Join(t.TempDir(), "disk")
	for _, size := range []int64{8 << 20, 20 << 30} {
		script := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(script, []byte("label: dos\nsize=1MiB, bootable\nsize=2MiB, type=c\n,\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(disk, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(disk, size); err != nil {
			t.Fatal(err)
		}
		hosttest.Run(t, "sh", "-c", "sfdisk "+disk+" <"+script)
		f, err := os.Open(disk)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Inspect(f, size, 512, func(f fault.Fault) { t.Error(f) })
		f.Close()
		if err != nil || len(table.Partitions) != 3 || !table.Partitions[0].Active {
			t.Errorf("%v, %+v", err, table)
		}
	}
}

func TestExplain(t *testing.T) {
	b := bytesOf(t, full)
	for off, want := range map[int64]string{
		5: "MBR, BootCode", 440: "MBR, UniqueMBRDiskSignature", 446 + 16 + 8: "MBR, record 2, StartingLBA", 511: "MBR, Signature", 600: "unused, in no partition",
		2048*512 + 5: "partition 1, byte 5", full.Sectors * 512: "after the disk",
	} {
		if got := Explain(vast(b), full.Sectors*512, 0, off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(bytesOf(f, full))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, list, err := inspect(b, 1<<30)
		if table.Signature = max(table.Signature, 1); err == nil && len(list) == 0 && table.Check() != nil {
			t.Fatalf("%v, and no fault", table.Check())
		}
	})
}
