package partition

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"imprint/internal/diag"
)

// What a type says about its content is the same however the type is written.
func TestPurposeOf(t *testing.T) {
	for text, holds := range map[string]string{
		"swap": "swap space", "0x82": "swap space", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "swap space",
		"root-verity": "dm-verity hashes", "usr-arm64-verity": "dm-verity hashes", "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5": "dm-verity hashes",
		"root-x86-64-verity-sig": "a signed dm-verity root hash as JSON", "usr-verity-sig": "a signed dm-verity root hash as JSON",
		"bios-boot": "GRUB's core image",
		"root":      "", "esp": "", "linux-generic": "", "0x83": "", "0x0c": "", "0x8": "", "nonsense": "", "": "",
	} {
		p := PurposeOf(text)
		if p == nil {
			p = &Purpose{}
		}
		if p.Holds != holds {
			t.Errorf("%s holds %q, want %q", text, p.Holds, holds)
		}
	}
	for text, foreign := range map[string]bool{
		"swap": false, "esp": false, "0x83": false, "0xef": false, "root": false, "usr-x86-64": false, "0FC63DAF-8483-4772-8E79-3D69D8477DE4": false,
		"0x0c": true, "0xda": true, "fe3a2a5d-4f32-41a7-b725-accc3285a309": true,
	} {
		if IsForeign(text) != foreign {
			t.Errorf("%s is foreign: %v", text, !foreign)
		}
	}
}

func TestPurposeBegins(t *testing.T) {
	page := func(size int, end string) string { return strings.Repeat("\x00", size-len(end)) + end }
	for _, c := range []struct {
		kind, head string
		want       bool
	}{
		{"swap", page(4096, "SWAPSPACE2"), true},
		{"swap", page(65536, "SWAPSPACE2"), true},
		{"swap", page(4096, "SWAPSPACE1"), false},
		{"swap", "", false},
		{"swap", "LUKS\xba\xbe\x00\x02", true},
		{"root-verity", "verity\x00\x00\x01", true},
		{"root-verity", "very", false},
		{"usr-verity-sig", "\n{\"rootHash\":", true},
		{"usr-verity-sig", "rootHash", false},
		{"bios-boot", "anything", true},
	} {
		if PurposeOf(c.kind).Begins([]byte(c.head)) != c.want {
			t.Errorf("%s begins with %.16q: %v", c.kind, c.head, !c.want)
		}
	}
}

func TestCheckFATType(t *testing.T) {
	good := map[int][]string{12: {"0x01"}, 16: {"0x04", "0x06", "0x0e"}, 32: {"0x0b", "0x0C"}}
	for _, bits := range []int{12, 16, 32} {
		for of, texts := range good {
			for _, text := range texts {
				err := CheckFATType(text, bits)
				var m diag.Mistake
				if (err == nil) != (of == bits) || err != nil && (!errors.As(err, &m) || CheckFATType(strings.Split(m.Hint, `"`)[1], bits) != nil) {
					t.Errorf("FAT%d in %s: %v", bits, text, err)
				}
				if !IsFATType(text) {
					t.Errorf("%s is no type of FAT", text)
				}
			}
		}
		for _, text := range []string{"0xef", "esp", "0x83", "root", "0x"} {
			if err := CheckFATType(text, bits); err != nil || IsFATType(text) {
				t.Error(fmt.Sprint(text, ": "), err)
			}
		}
	}
}
