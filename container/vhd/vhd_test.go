package vhd

import "testing"

// The geometry never says more than the disk has, and all of it up to a few cylinders where it can express it.
func TestGeometry(t *testing.T) {
	for _, test := range []struct {
		sectors                  int64
		cylinders, heads, second int64
	}{
		{8 << 11, 240, 4, 17}, // 8 MiB: heads are at least four
		{1 << 21, 2080, 16, 63},
		{65535 * 16 * 63, 0, 0, 0}, // tracks of 255
		{1 << 40, 65535, 16, 255},
	} {
		g := int64(geometry(test.sectors))
		cylinders, heads, sectors := g>>16, g>>8&0xff, g&0xff
		if all := cylinders * heads * sectors; all > test.sectors || cylinders == 0 || heads == 0 {
			t.Errorf("%d sectors: %d × %d × %d", test.sectors, cylinders, heads, sectors)
		}
		if test.second != 0 && (cylinders != test.cylinders || heads != test.heads || sectors != test.second) {
			t.Errorf("%d sectors: %d × %d × %d, want %d × %d × %d", test.sectors, cylinders, heads, sectors, test.cylinders, test.heads, test.second)
		}
	}
}

func TestCheck(t *testing.T) {
	if Check(MaxSize) != nil || Check(MaxSize+1) == nil {
		t.Error("the bound of the size is another one")
	}
	if Size(1) != mib || Size(mib) != mib {
		t.Error("disks are not of whole MiB")
	}
}
