package extent_test

import (
	"fmt"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

func ExampleReadAt() {
	region := extent.List{
		{Off: 0, Len: 4, Blob: tree.Text("boot"), Meta: true},
		{Off: 8, Len: 4, Blob: tree.Text("....root"), At: 4},
	}
	p := make([]byte, 7)
	if err := extent.ReadAt(region, p, 3); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%q\n", p)
	// Output: "t\x00\x00\x00\x00ro"
}

// A file system of 100 bytes with one file lies in another one, whose file it is, in two parts. Flattened, the outer file system consists of
// parts of the inner file, and Through finds the same parts without the rest of the disk.
func ExampleFlatten() {
	file := tree.Text("the content of the inner file")
	inner := extent.List{{Off: 40, Len: file.Size(), Blob: file}}
	image := extent.NewBlob(inner, 100)
	outer := extent.List{{Off: 1000, Len: 50, Blob: image}, {Off: 2000, Len: 50, Blob: image, At: 50}}
	for e := range extent.Flatten(outer).Extents(0) {
		fmt.Println(e.Off, e.Len, e.At)
	}
	fmt.Println(len(extent.Through(outer, inner)))
	// Output:
	// 1040 10 0
	// 2000 19 10
	// 2
}
