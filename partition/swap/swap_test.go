package swap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/repro"

	"github.com/google/go-cmp/cmp"
)

var id = repro.SeedOf("swap").UUID("id")

// space is swap space with a header.
func space(t testing.TB, size int64, label string) []byte {
	t.Helper()
	head, err := Header(size, id, label)
	if err != nil {
		t.Fatal(err)
	}
	return append(head, make([]byte, size-Page)...)
}

// The header has the bytes of mkswap, and other tools read label and UUID.
func TestHeaderIsThatOfMkswap(t *testing.T) {
	hosttest.Need(t, "mkswap", "swaplabel", "blkid")
	for _, label := range []string{"", "swap", strings.Repeat("ü", 7) + "x"} {
		for _, size := range []int64{MinSize, 1 << 20, 1<<20 + 5*512} {
			ours := space(t, size, label)
			file := filepath.Join(t.TempDir(), "swap")
			if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
			hosttest.Run(t, "mkswap", "-p", fmt.Sprint(Page), "-U", id.String(), "-L", label, file)
			theirs, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("%d bytes, label %q: the header differs from that of mkswap: %s", size, label, cmp.Diff(theirs[:Page], ours[:Page]))
			}
			if err := os.WriteFile(file, ours, 0o600); err != nil {
				t.Fatal(err)
			}
			if out := hosttest.Run(t, "swaplabel", file); !strings.Contains(out, id.String()) || label != "" && !strings.Contains(out, label) {
				t.Errorf("swaplabel: %s", out)
			}
			if out := hosttest.Run(t, "blkid", "-p", file); !strings.Contains(out, `TYPE="swap"`) || !strings.Contains(out, `UUID="`+id.String()) {
				t.Errorf("blkid: %s", out)
			}
		}
	}
}

func TestRead(t *testing.T) {
	b := space(t, 1<<20, "label")
	v, err := Read(bytes.NewReader(b), 1<<20)
	if err != nil || v.Label != "label" || v.UUID != id || v.Page != Page || v.Size != 1<<20 {
		t.Fatalf("%+v, %v", v, err)
	}
	for off, want := range map[int64]string{
		0: "swap header, unused", 1024: "swap header, Version", 1036: "swap header, UUID", 1052: "swap header, VolumeName",
		Page - 1: "swap header, signature", 3*Page + 7: "swap page 3", 1 << 20: "after the swap space", -1: "after the swap space",
	} {
		if got := v.Explain(off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
	for want, at := range map[string]int{
		"LastPage is 65791, so there are 269484032 bytes, but the region has 1048576": 1030,
		"NrBadPages is 65536, but the header has room for 637":                        1034, "with bytes after a NUL": 1060,
	} {
		damaged := bytes.Clone(b)
		damaged[at] = 1
		v, err := Read(bytes.NewReader(damaged), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		v.Check(func(f fault.Fault) { list = append(list, f.String()) })
		if len(list) != 1 || !strings.Contains(list[0], want) {
			t.Errorf("faults %q, want %s", list, want)
		}
	}
	b[1024] = 0
	if _, err := Read(bytes.NewReader(b), 1<<20); err == nil || !strings.Contains(err.Error(), "version is 0, 1 is expected") {
		t.Errorf("error %v", err)
	}
	if _, err := Read(bytes.NewReader(nil), 0); err == nil {
		t.Error("nothing was taken for swap space")
	}
}

func TestHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		size  int64
		label string
	}{{MinSize - 1, ""}, {MinSize, strings.Repeat("x", MaxLabel+1)}, {MinSize, "a\x00b"}, {0, ""}} {
		if _, err := Header(c.size, id, c.label); err == nil {
			t.Errorf("%d bytes, label %q: no error", c.size, c.label)
		}
	}
}

// Any header is read or refused; what is read is explained and checked without a panic.
func FuzzRead(f *testing.F) {
	f.Add(space(f, MinSize, "label"))
	f.Add(make([]byte, 100))
	hosttest.Fuzz(f, func(t *testing.T, b []byte) {
		v, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		v.Check(func(fault.Fault) {})
		for _, off := range []int64{0, 1024, v.Page - 1, v.Page, int64(len(b))} {
			v.Explain(off)
		}
	})
}
