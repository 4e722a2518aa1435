// Package units holds the arithmetic of sizes: bytes with binary prefixes, and alignment to a grain.
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Binary multiples of a byte.
const (
	KiB int64 = 1 << 10
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
	TiB int64 = 1 << 40
)

// Grain is the default alignment of partitions in bytes; the size of a disk is a multiple of it, too.
const Grain = MiB

// suffixes are the units of a size. Longer ones come first, so that "B" does not match "1KiB".
var suffixes = []struct {
	name string
	unit int64
}{{"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB}, {"TiB", TiB}, {"B", 1}}

// ParseBytes parses a size: digits, then one of B, KiB, MiB, GiB, TiB. A number without a unit is an error: in a description
// it would be a TOML integer, not a string.
func ParseBytes(text string) (int64, error) {
	for _, s := range suffixes {
		digits, ok := strings.CutSuffix(text, s.name)
		if !ok {
			continue
		}
		digits = strings.TrimRight(digits, " ")
		if s.unit == 1 && strings.ContainsFunc(digits, unicode.IsLetter) {
			break // "1EiB" or "64MB"
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("size %q is not a whole number of %s", text, s.name)
		}
		if int64(n) > math.MaxInt64/s.unit {
			return 0, fmt.Errorf("size %q is too large", text)
		}
		return int64(n) * s.unit, nil
	}
	return 0, fmt.Errorf("size %q has none of the units B, KiB, MiB, GiB, TiB", text)
}

// FormatBytes formats a size in the largest unit that fits, without decimals if it is a multiple of that, else with one.
func FormatBytes(n int64) string {
	unit, name := int64(1), "B"
	for _, s := range suffixes {
		if s.unit > unit && n >= s.unit {
			unit, name = s.unit, s.name
		}
	}
	if n%unit == 0 {
		return fmt.Sprintf("%d %s", n/unit, name)
	}
	return fmt.Sprintf("%.1f %s", float64(n)/float64(unit), name)
}

// Count returns a number of things in words, such as "1 partition" or "2 partitions".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Align rounds n up to a multiple of grain, which is positive and in the same unit.
func Align(n, grain int64) int64 {
	return (n + grain - 1) / grain * grain
}

// Blocks returns the number of blocks of the given size that hold n bytes.
func Blocks(n, size int64) int64 {
	return (n + size - 1) / size
}
