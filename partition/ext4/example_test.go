package ext4_test

import (
	"fmt"

	"imprint/internal/extent"
	"imprint/internal/fault"
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

// A file system is read, checked and explained without mounting it, here before it was written.
func ExampleRead() {
	attr := &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(attr)
	if err := b.Add("/etc/hostname", tree.NewFile("", attr, tree.Text("hello\n")), "the example"); err != nil {
		fmt.Println(err)
	}
	t, err := b.Tree()
	if err != nil {
		fmt.Println(err)
	}
	p, err := ext4.New(t, ext4.Options{Label: "root"})
	if err != nil {
		fmt.Println(err)
	}
	image, err := extent.NewBlob(p, p.Size()).Open()
	if err != nil {
		fmt.Println(err)
	}
	v, err := ext4.Read(image, p.Size())
	if err != nil {
		fmt.Println(err)
	}
	for path, n := range v.Tree.Walk() {
		fmt.Println(path, n.Kind())
	}
	v.Check(func(f fault.Fault) { fmt.Println(f) })
	at := p.Place(nil, t.Find("/etc/hostname"))[0].Off
	fmt.Println(v.Label, "|", v.Explain(1024+0x78), "|", v.Explain(at+2), "|", v.Explain(at+7))
	// Output:
	// / directory
	// /etc directory
	// /etc/hostname file
	// /lost+found directory
	// root | superblock, s_volume_name | file /etc/hostname, byte 2 | file tail after /etc/hostname
}
