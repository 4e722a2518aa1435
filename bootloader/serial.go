package bootloader

import "strings"

// serialLine returns the first serial line among the consoles that a boot loader for PCs can use too: its number and its speed
// in bits per second, 9600 by default (Linux, Documentation/admin-guide/serial-console.rst). GRUB and SYSLINUX drive the four
// ports of a PC; other serial lines, such as ttySAC0 and ttyAMA0, can only be used through the firmware's console.
func (c Config) serialLine() (unit, speed string, ok bool) {
	if c.Arch != "x86_64" {
		return "", "", false
	}
	for _, console := range c.Console {
		if unit, speed, ok := serialPort(console); ok {
			return unit, speed, true
		}
	}
	return "", "", false
}

// serialPort parses a console such as "ttyS0,115200n8".
func serialPort(console string) (unit, speed string, ok bool) {
	name, options, _ := strings.Cut(console, ",")
	unit, ok = strings.CutPrefix(name, "ttyS")
	if !ok || len(unit) != 1 || unit < "0" || unit > "3" {
		return "", "", false
	}
	end := strings.IndexFunc(options+" ", func(r rune) bool { return r < '0' || r > '9' })
	if speed = options[:end]; speed == "" {
		speed = "9600"
	}
	return unit, speed, true
}
