package tarsums

// The fields of a header (POSIX.1-2024, pax, "ustar Interchange Format"), as offsets in bytes.
const (
	sizeAt, sizeEnd         = 124, 136
	checksumAt, checksumEnd = 148, 156
	typeAt                  = 156
)

// sizeOf returns how many bytes of content follow a header. ok is false for a block that is no header.
func sizeOf(b *[block]byte) (size int64, ok bool) {
	want, ok := octal(b[checksumAt:checksumEnd])
	if !ok || want != checksum(b) {
		return 0, false
	}
	switch b[typeAt] {
	case '1', '2', '3', '4', '5', '6': // links, devices, directories and fifos have none, whatever the field says
		return 0, true
	}
	return number(b[sizeAt:sizeEnd])
}

// checksum returns the sum of the bytes of a header, with blanks in the place of the sum.
func checksum(b *[block]byte) (sum int64) {
	for i, c := range b {
		if i >= checksumAt && i < checksumEnd {
			c = ' '
		}
		sum += int64(c)
	}
	return sum
}

// number returns a number in octal digits, or in GNU's form: big-endian, with the first bit set.
func number(b []byte) (n int64, ok bool) {
	if b[0]&0x80 == 0 {
		return octal(b)
	}
	if b[0] != 0x80 { // negative, or more than 64 bits
		return 0, false
	}
	for i, c := range b[1:] {
		if c != 0 && i < len(b)-9 || n >= 1<<55 {
			return 0, false
		}
		n = n<<8 | int64(c)
	}
	return n, true
}

// octal returns a number in octal digits, with blanks before and blanks or NULs after it.
func octal(b []byte) (n int64, ok bool) {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[0] >= '0' && b[0] <= '7' {
		n, ok, b = n<<3|int64(b[0]-'0'), true, b[1:]
	}
	return n, ok && (len(b) == 0 || b[0] == ' ' || b[0] == 0)
}
