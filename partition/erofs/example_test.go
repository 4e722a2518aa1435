package erofs_test

import (
	"fmt"
	"strings"

	"imprint/internal/extent"
	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/partition/erofs"
)

// A file's tail lies after its inode, and its whole blocks are at the end. All of this is known before anything is written, and the image
// can be read, checked and explained.
func ExampleNew() {
	attr := &tree.Attr{Mode: 0o644}
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	if err := b.Add("/bin/tool", tree.NewFile("", attr, tree.Text(strings.Repeat("x", 5000))), "the example"); err != nil {
		fmt.Println(err)
	}
	t, err := b.Tree()
	if err != nil {
		fmt.Println(err)
	}
	p, err := erofs.New(t, erofs.Options{Label: "root"})
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range p.Place(nil, t.Find("/bin/tool")) {
		fmt.Printf("bytes %d to %d of %d are at %d\n", e.At, e.At+e.Len-1, p.Size(), e.Off)
	}
	image, err := extent.NewBlob(p, p.Size()).Open()
	if err != nil {
		fmt.Println(err)
	}
	v, err := erofs.Read(image, p.Size())
	if err != nil {
		fmt.Println(err)
	}
	v.Check(func(f fault.Fault) { fmt.Println(f) })
	for path, n := range v.Tree.Walk() {
		fmt.Println(path, n.Kind(), n.Size())
	}
	fmt.Println(v.Label, "|", v.Explain(1024+36), "|", v.Explain(8192))
	// Output:
	// bytes 0 to 4095 of 12288 are at 8192
	// bytes 4096 to 4999 of 12288 are at 4128
	// / directory 0
	// /bin directory 0
	// /bin/tool file 5000
	// root | superblock, blocks | file /bin/tool, byte 0
}
