// Package picture recognises pictures that GRUB can show, by their first bytes: PNG, JPEG and TGA, and of each only what GRUB's readers
// take (grub-core/video/readers).
package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeadSize is the number of first bytes that Format looks at. The header of a JPEG may come after others of 64 KiB each.
const HeadSize = 1 << 20

// maxSide is the maximum width and height in pixels.
const maxSide = 16384

// Format returns the format of a picture that begins with head: "png", "jpeg" or "tga". The error says what GRUB would not show.
func Format(head []byte) (string, error) {
	switch {
	case len(head) >= 8 && string(head[:8]) == "\x89PNG\r\n\x1a\n":
		return "png", checkPNG(head)
	case len(head) >= 3 && string(head[:3]) == "\xff\xd8\xff":
		return "jpeg", checkJPEG(head)
	case len(head) >= 18 && isTGA(head):
		return "tga", checkSize(int(binary.LittleEndian.Uint16(head[12:])), int(binary.LittleEndian.Uint16(head[14:])))
	}
	return "", errors.New("is neither a PNG nor a JPEG nor a TGA")
}

// checkPNG checks the header chunk (PNG, 11.2.2).
func checkPNG(head []byte) error {
	const interlaced = 28
	if len(head) < 33 || string(head[12:16]) != "IHDR" {
		return errors.New("is a PNG without a header")
	}
	if head[interlaced] != 0 {
		return errors.New("is an interlaced PNG, which GRUB does not read")
	}
	return checkSize(int(binary.BigEndian.Uint32(head[16:])), int(binary.BigEndian.Uint32(head[20:])))
}

// checkJPEG looks for the header of the frame, whose marker says how the picture is coded (ITU-T T.81, B.1).
func checkJPEG(head []byte) error {
	const baseline = 0xc0
	for at := 2; at+9 <= len(head) && head[at] == 0xff; {
		marker, length := head[at+1], int(binary.BigEndian.Uint16(head[at+2:]))
		switch {
		case marker == 0xff: // fill bytes
			at++
			continue
		case marker == baseline:
			return checkSize(int(binary.BigEndian.Uint16(head[at+7:])), int(binary.BigEndian.Uint16(head[at+5:])))
		case marker > baseline && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return errors.New("is a progressive JPEG, or one coded in another way than the baseline, which GRUB does not read")
		case length < 2:
			return errors.New("is a damaged JPEG")
		}
		at += 2 + length
	}
	return errors.New("is a JPEG without a frame")
}

// isTGA reports whether a header is one of true colours without a map. TGA has no magic number, so every field counts.
func isTGA(head []byte) bool {
	kind, bits := head[2], head[16]
	return head[1] == 0 && (kind == 2 || kind == 10) && (bits == 24 || bits == 32) && head[17]&0xc0 == 0 &&
		binary.LittleEndian.Uint32(head[4:]) == 0 // of the map, which is not there
}

func checkSize(width, height int) error {
	if width < 1 || height < 1 || width > maxSide || height > maxSide {
		return fmt.Errorf("has %d x %d pixels, and not 1 to %d each", width, height, maxSide)
	}
	return nil
}
