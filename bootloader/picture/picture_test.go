package picture

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// encoded returns a picture in the formats that the standard library writes.
func encoded(t testing.TB, width, height int) (asPNG, asJPEG []byte) {
	t.Helper()
	var p, j bytes.Buffer
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	if err := png.Encode(&p, picture); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&j, picture, nil); err != nil {
		t.Fatal(err)
	}
	return p.Bytes(), j.Bytes()
}

// tga is a header of true colours.
func tga(width, height byte) []byte {
	return []byte{0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, width, 0, height, 0, 24, 0}
}

func TestFormat(t *testing.T) {
	asPNG, asJPEG := encoded(t, 31, 17)
	interlaced := bytes.Clone(asPNG)
	interlaced[28] = 1
	progressive := bytes.Replace(asJPEG, []byte{0xff, 0xc0}, []byte{0xff, 0xc2}, 1)
	for name, c := range map[string]struct {
		head         []byte
		format, want string // the error; "" for none
	}{
		"png":         {asPNG, "png", ""},
		"jpeg":        {asJPEG, "jpeg", ""},
		"tga":         {tga(5, 7), "tga", ""},
		"interlaced":  {interlaced, "png", "interlaced"},
		"progressive": {progressive, "jpeg", "progressive"},
		"cut png":     {asPNG[:20], "png", "without a header"},
		"cut jpeg":    {asJPEG[:20], "jpeg", "without a frame"},
		"flat":        {tga(5, 0), "tga", "5 x 0 pixels"},
		"text":        {[]byte("a text that is long enough for every header"), "", "neither"},
		"nothing":     {nil, "", "neither"},
	} {
		format, err := Format(c.head)
		if format != c.format || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", name, format, err)
		}
	}
}

// FuzzFormat: no head makes it panic, and what it accepts has a format.
func FuzzFormat(f *testing.F) {
	asPNG, asJPEG := encoded(f, 3, 3)
	f.Add(asPNG)
	f.Add(asJPEG)
	f.Add(tga(1, 1))
	f.Add([]byte("\xff\xd8\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xe0\x00\x00"))
	hosttest.Fuzz(f, func(t *testing.T, head []byte) {
		if format, err := Format(head); format == "" && err == nil {
			t.Error("no format and no error")
		}
	})
}
