package units

import (
	"fmt"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0B": 0, "1B": 1, "64MiB": 64 << 20, "64 MiB": 64 << 20, "3KiB": 3072, "2GiB": 2 << 30, "16TiB": 16 << 40,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "64", "64MB", "64M", "-1B", "+1B", "1.5GiB", "MiB", "0x10B", "9000000000TiB", " 1B", "1_000B"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %d; want an error", text, got)
		}
	}
}

// A unit that is none is what the error is about.
func TestUnknownUnit(t *testing.T) {
	for text, want := range map[string]string{"1EiB": "has none of the units", "64MB": "has none of the units", "1.5B": "is not a whole number of B", "xGiB": "is not a whole number of GiB"} {
		if _, err := ParseBytes(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseBytes(%q): %v; want %q", text, err, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 5 << 30: "5 GiB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q; want %q", n, got, want)
		}
	}
}

func TestAlign(t *testing.T) {
	for _, c := range []struct{ n, grain, want int64 }{{0, 512, 0}, {1, 512, 512}, {512, 512, 512}, {513, 512, 1024}, {10, 3, 12}} {
		if got := Align(c.n, c.grain); got != c.want {
			t.Errorf("Align(%d, %d) = %d; want %d", c.n, c.grain, got, c.want)
		}
	}
}

// A size has its value, and a whole number of units is parsed back as it is formatted.
func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"0B", "12MiB", "1 TiB", "8388607TiB", "8388608TiB", "-1B", "+1B", "1_0B", "KiB", "9223372036854775808B", "٣B", "1.5GiB", "01KiB"} {
		f.Add(s, int64(len(s)))
	}
	hosttest.Fuzz(f, func(t *testing.T, text string, size int64) {
		if n, err := ParseBytes(text); err == nil {
			digits := strings.TrimRight(text, "BKMGTi ")
			if n < 0 || strings.Trim(digits, "0123456789") != "" || digits == "" {
				t.Errorf("%q is read as %d", text, n)
			}
			if again, err := ParseBytes(fmt.Sprintf("%dB", n)); err != nil || again != n {
				t.Errorf("%q is %d, and %d when written in bytes, %v", text, n, again, err)
			}
		}
		if size < 0 {
			return
		}
		printed := FormatBytes(size)
		if n, err := ParseBytes(printed); !strings.Contains(printed, ".") && (err != nil || n != size) {
			t.Errorf("%d is printed as %q, which is read as %d, %v", size, printed, n, err)
		}
	})
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 items", 1: "1 item", 2: "2 items"} {
		if got := Count(n, "item"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
