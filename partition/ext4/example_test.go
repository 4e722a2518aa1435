package ext4_test

import (
	"fmt"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/partition/ext4"
)

// The smallest file system for a tree is known, and can be read, before anything is written.
func ExampleNew() {
	attr := &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(attr)
	if err := b.Add("/etc/hostname", tree.NewFile("", attr, tree.Text("hello\n")), "the example"); err != nil {
		fmt.Println(err)
	}
	t, err := b.Tree()
	if err != nil {
		fmt.Println(err)
	}
	p, err := ext4.New(t, ext4.Options{Free: 1 << 20})
	if err != nil {
		fmt.Println(err)
	}
	s := p.Summary()
	fmt.Println(p.Size(), s.BlockSize*s.FreeBlocks)
	for _, e := range p.Place(nil, t.Find("/etc/hostname")) {
		content := make([]byte, e.Len)
		if err := extent.ReadAt(p, content, e.Off); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%q\n", content)
	}
	// Output:
	// 1101824 1048576
	// "hello\n"
}
