package fat

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"imprint/internal/tree"
)

// codePage has the characters of the bytes from 0x80 on in short names: code page 437, the default of DOS and Linux.
var codePage = []rune("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0")

// Bits of NTRes by which Windows NT stores a name that is short except for its lower case without long entries.
const (
	lowerBase = 0x08
	lowerExt  = 0x10
)

// text returns a part of a short name without the spaces after it.
func (s short) text(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		switch c := s[i]; {
		case i == 0 && c == kanjiDeleted:
			b.WriteRune(codePage[deleted-0x80])
		case c >= 0x80:
			b.WriteRune(codePage[c-0x80])
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Values of the first byte of a directory entry: the end of the directory, a deleted entry, and the byte that replaces the latter in a name
// that begins with it.
const (
	endOfDir     = 0x00
	deleted      = 0xe5
	kanjiDeleted = 0x05
)

// shortName returns the name of an entry without long ones, in the case that Windows NT gives it.
func (e *dirEntry) shortName() string {
	base, ext := e.Name.text(0, 8), e.Name.text(8, 11)
	if e.NTRes&lowerBase != 0 {
		base = strings.ToLower(base)
	}
	if e.NTRes&lowerExt != 0 {
		ext = strings.ToLower(ext)
	}
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// check returns an error for bytes that cannot be a short name ("FAT Directory Structure").
func (s short) check() error {
	if s[0] == ' ' {
		return fmt.Errorf("short name %q begins with a space", s[:])
	}
	for i, c := range s {
		control := c < ' ' && (i > 0 || c != kanjiDeleted)
		if control || 'a' <= c && c <= 'z' || c == 0x7f || strings.IndexByte(`"*+,./:;<=>?[\]|`, c) >= 0 {
			return fmt.Errorf("short name %q holds %q", s[:], c)
		}
	}
	return nil
}

// units returns the 13 UTF-16 units of a long entry.
func (e *longEntry) units() []uint16 {
	u := append(make([]uint16, 0, longUnits), e.Name1[:]...)
	return append(append(u, e.Name2[:]...), e.Name3[:]...)
}

// longName assembles a name from its parts, the last of which comes first. The name can be used if ok, even if there is an error.
func longName(parts []longEntry) (name string, ok bool, err error) {
	var text []uint16
	for i := len(parts) - 1; i >= 0; i-- {
		text = append(text, parts[i].units()...)
	}
	for i, u := range text {
		if u != 0 {
			continue
		}
		for _, pad := range text[i+1:] {
			if pad != 0xffff {
				err = fmt.Errorf("long name is followed by 0x%04x, not 0xffff", pad)
			}
		}
		text = text[:i]
		break
	}
	runes := utf16.Decode(text)
	name = string(runes)
	if string(utf16.Decode(utf16.Encode(runes))) != name || len(utf16.Encode(runes)) != len(text) || unpaired(text) {
		return "", false, errors.New("long name is not UTF-16: a surrogate has no partner")
	}
	if tree.CheckName(name) != nil && len(name) <= 255 {
		return "", false, fmt.Errorf("long name %q is not a file name", name)
	}
	if err == nil {
		err = checkName(name)
	}
	return name, len(name) <= 255, err
}

// unpaired reports whether text has a surrogate without its partner.
func unpaired(text []uint16) bool {
	for i := 0; i < len(text); i++ {
		if !utf16.IsSurrogate(rune(text[i])) {
			continue
		}
		if i+1 == len(text) || utf16.DecodeRune(rune(text[i]), rune(text[i+1])) == '\ufffd' {
			return true
		}
		i++
	}
	return false
}

// parseTime is the inverse of dosTime, in seconds since 1970. FAT records no time zone; UTC is what dosTime writes.
func parseTime(date, clock uint16) (sec int64, ok bool) {
	year, month, day := 1980+int(date>>9), int(date>>5&15), int(date&31)
	hour, minute, second := int(clock>>11), int(clock>>5&63), int(clock&31)*2
	t := time.Date(year, time.Month(max(month, 1)), max(day, 1), hour, minute, second, 0, time.UTC)
	return t.Unix(), date == 0 && clock == 0 || t.Day() == day && int(t.Month()) == month && hour < 24 && minute < 60 && second < 60
}
