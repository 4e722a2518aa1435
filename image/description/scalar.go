package description

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/keyed"
	"imprint/internal/units"
	"imprint/partition"
)

// A Size is a number of bytes, or "auto": as large as the content needs.
type Size struct {
	Bytes int64
	Auto  bool
}

// Free is free space for the running system: bytes, or a percentage of the content's bytes.
type Free struct{ Bytes, Percent int64 }

// A Mode is permission bits, in octal in a description: "0755" or "1777".
type Mode uint16

// A Flag is the number of an attribute bit of a GPT entry. A description may use its name.
type Flag int

// flagBits maps the names of attributes to bits: UEFI 2.10, table 5.8, and the Discoverable Partitions Specification,
// "Partition Attribute Flags".
var flagBits = map[string]Flag{
	"required": 0, "no-block-io": 1, "legacy-bios-bootable": 2, // UEFI; it reserves 3 to 47
	"growfs": partition.FlagGrowFS, "read-only": partition.FlagReadOnly, "no-auto": partition.FlagNoAuto,
}

// FlagNames returns the names that a description may use for bits, sorted.
func FlagNames() []string { return slices.Sorted(maps.Keys(flagBits)) }

// ParseTOML accepts an integer of bytes, text with a unit, or "auto".
func (s *Size) ParseTOML(v any) error {
	if v == "auto" {
		*s = Size{Auto: true}
		return nil
	}
	n, err := parseSize(v)
	*s = Size{Bytes: n}
	return err
}

// maxSize is larger than any disk, and small enough that the sum over all partitions does not overflow.
const maxSize = 1 << 54

func parseSize(v any) (int64, error) {
	n, err := bytesOf(v)
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, diag.Mistake{Text: fmt.Sprintf("is negative: %d bytes", n)}
	case n > maxSize:
		return 0, diag.Mistake{Text: fmt.Sprintf("is %s, larger than any disk", units.FormatBytes(n))}
	}
	return n, nil
}

func bytesOf(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case string:
		n, err := units.ParseBytes(v)
		if err == nil {
			return n, nil
		}
		if near := nearSize(v); near != "" {
			return 0, diag.Mistake{Text: fmt.Sprintf("size %q has none of the units B, KiB, MiB, GiB, TiB", v), Hint: fmt.Sprintf("did you mean %q?", near)}
		}
		return 0, diag.Mistake{Text: err.Error(), Hint: sizeForm}
	}
	return 0, diag.Mistake{Text: "must be a size, not " + keyed.KindOf(v), Hint: sizeForm}
}

const sizeForm = `write an integer of bytes, or text such as "64MiB"`

// nearSize guesses the size that was meant, or returns "": in other tools "64M", "64MB" and "64mib" mean 64 MiB.
func nearSize(text string) string {
	number := strings.TrimRight(text, "BbIiKkMmGgTt ")
	unit := strings.ToUpper(strings.TrimLeft(text[len(number):], " "))
	for _, name := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if unit == strings.ToUpper(name) || unit == name[:1] || unit == name[:1]+"B" {
			if _, err := units.ParseBytes(number + name); err == nil {
				return number + name
			}
		}
	}
	return ""
}

// maxShare is the largest percentage of [Free].
const maxShare = 1000

// ParseTOML accepts a size, or a percentage such as "20%".
func (f *Free) ParseTOML(v any) error {
	if text, ok := v.(string); ok {
		if digits, ok := strings.CutSuffix(text, "%"); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil || n > maxShare {
				return diag.Mistake{Text: fmt.Sprintf("%q is not a whole percentage up to %d%%", text, maxShare)}
			}
			*f = Free{Percent: int64(n)}
			return nil
		}
	}
	n, err := parseSize(v)
	*f = Free{Bytes: n}
	return err
}

// ParseTOML accepts text of three or four octal digits. It refuses integers: in TOML, 755 and 0o755 differ, and afterwards nobody
// can tell which was written.
func (m *Mode) ParseTOML(v any) error {
	text, ok := v.(string)
	if !ok {
		return diag.Mistake{Text: "must be text of octal digits, not " + keyed.KindOf(v), Hint: `write mode = "0755"`}
	}
	bits, err := strconv.ParseUint(text, 8, 16)
	if err != nil || len(text) < 3 || len(text) > 4 {
		return diag.Mistake{Text: fmt.Sprintf("mode %q is not three or four octal digits", text), Hint: `as in "0755", or "1777" for a directory like /tmp`}
	}
	*m = Mode(bits)
	return nil
}

// ParseTOML accepts the name or the number of a bit.
func (f *Flag) ParseTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v < 0 || v > 63 {
			return diag.Mistake{Text: fmt.Sprintf("bit %d is not between 0 and 63", v)}
		}
		if v > 2 && v < 48 {
			return diag.Mistake{Text: fmt.Sprintf("bit %d must stay 0: UEFI reserves 3 to 47", v)}
		}
		*f = Flag(v)
		return nil
	case string:
		bit, ok := flagBits[v]
		if !ok {
			return diag.Mistake{Text: fmt.Sprintf("flag %q is unknown", v), Hint: keyed.Meant(v, FlagNames())}
		}
		*f = bit
		return nil
	}
	return diag.Mistake{Text: "must be the name or the number of a bit, not " + keyed.KindOf(v)}
}
