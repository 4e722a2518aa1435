package description

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/units"
)

// A Size is a number of bytes: an integer, or text with a unit. Auto is "auto"; the zero Size is an absent key.
type Size struct {
	Bytes int64
	Auto  bool
	Set   bool
}

// Free is room for the running system: bytes, or a share of the content's bytes in percent.
type Free struct {
	Bytes   int64
	Percent int64
	Set     bool
}

// A Mode is permission bits, written in octal: "0755" or "1777".
type Mode struct {
	Bits uint16
	Set  bool
}

// A Flag is a bit of a GPT entry's attributes: one of the names of flagBits, or the number of the bit.
type Flag struct{ Bit int }

// flagBits are the attributes with a name: UEFI 2.10, table 5.8, and the Discoverable Partitions Specification, "Partition Attribute
// Flags".
var flagBits = map[string]int{
	"required": 0, "no-block-io": 1, "legacy-bios-bootable": 2, // UEFI; it reserves 3 to 47
	"growfs": 59, "read-only": 60, "no-auto": 63, // of the types of that specification
}

// A mistake is what is wrong with a value, and what to write instead.
type mistake struct{ text, hint string }

// Error implements error.
func (m mistake) Error() string { return m.text }

// UnmarshalTOML reads an integer of bytes, text with a unit, or "auto".
func (s *Size) UnmarshalTOML(v any) error {
	if v == "auto" {
		*s = Size{Auto: true, Set: true}
		return nil
	}
	n, err := parseSize(v)
	*s = Size{Bytes: n, Set: true}
	return err
}

// maxSize is more than any disk has, in bytes, and little enough that the sum over all partitions can be told.
const maxSize = 1 << 54

func parseSize(v any) (int64, error) {
	n, err := bytesOf(v)
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, mistake{text: fmt.Sprintf("is negative: %d bytes", n)}
	case n > maxSize:
		return 0, mistake{text: fmt.Sprintf("is %s, more than any disk has", units.FormatBytes(n))}
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
			return 0, mistake{fmt.Sprintf("size %q has none of the units B, KiB, MiB, GiB, TiB", v), fmt.Sprintf("did you mean %q?", near)}
		}
		return 0, mistake{err.Error(), sizeForm}
	}
	return 0, mistake{"must be a size, not " + kindOf(v), sizeForm}
}

const sizeForm = `write an integer of bytes, or text such as "64MiB"`

// nearSize guesses the size that was meant, or gives "": other tools take "64M", "64MB" and "64mib" for 64 MiB.
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

// UnmarshalTOML reads a size, or a share such as "20%".
func (f *Free) UnmarshalTOML(v any) error {
	if text, ok := v.(string); ok {
		if digits, ok := strings.CutSuffix(text, "%"); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil || n > 1000 {
				return mistake{fmt.Sprintf("share %q is not a whole number of percent up to 1000", text), ""}
			}
			*f = Free{Percent: int64(n), Set: true}
			return nil
		}
	}
	n, err := parseSize(v)
	*f = Free{Bytes: n, Set: true}
	return err
}

// UnmarshalTOML reads three or four octal digits in text: an integer would have lost whether it was octal.
func (m *Mode) UnmarshalTOML(v any) error {
	text, ok := v.(string)
	if !ok {
		return mistake{"must be text of octal digits, not " + kindOf(v), `write mode = "0755"`}
	}
	bits, err := strconv.ParseUint(text, 8, 16)
	if err != nil || len(text) < 3 || len(text) > 4 {
		return mistake{fmt.Sprintf("mode %q is not three or four octal digits", text), `as in "0755", or "1777" for a directory like /tmp`}
	}
	*m = Mode{Bits: uint16(bits), Set: true}
	return nil
}

// UnmarshalTOML reads the name or the number of a bit.
func (f *Flag) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v < 0 || v > 63 {
			return mistake{text: fmt.Sprintf("bit %d is not one of 0 to 63", v)}
		}
		if v > 2 && v < 48 {
			return mistake{text: fmt.Sprintf("bit %d must stay 0: UEFI reserves 3 to 47", v)}
		}
		f.Bit = int(v)
		return nil
	case string:
		bit, ok := flagBits[v]
		if !ok {
			return mistake{fmt.Sprintf("flag %q is unknown", v), meant(v, slices.Sorted(maps.Keys(flagBits)))}
		}
		f.Bit = bit
		return nil
	}
	return mistake{"must be the name or the number of a bit, not " + kindOf(v), ""}
}

// meant is the hint for a word that is not among the known ones.
func meant(word string, known []string) string {
	if near := diag.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known: " + strings.Join(known, ", ")
}

// kindOf names the type of a TOML value in words.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "an integer"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case map[string]any:
		return "a table"
	case []any:
		return "an array"
	case []map[string]any:
		return "an array of tables"
	}
	return "a date or time"
}
