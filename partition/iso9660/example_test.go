package iso9660_test

import (
	"fmt"

	"imprint/internal/extent"
	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/partition/iso9660"
)

// An image is read, checked and explained before it is written. Rock Ridge keeps the name, which ISO 9660 has in another form.
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
	p, err := iso9660.New(t, iso9660.Options{VolumeID: "EXAMPLE", Modified: 1_234_567_890})
	if err != nil {
		fmt.Println(err)
	}
	image, err := extent.NewBlob(p, p.Size()).Open()
	if err != nil {
		fmt.Println(err)
	}
	v, err := iso9660.Read(image, p.Size())
	if err != nil {
		fmt.Println(err)
	}
	v.Check(func(f fault.Fault) { fmt.Println(f) })
	fmt.Println(p.Size(), v.ID, v.UUID())
	for path, n := range v.Tree.Walk() {
		fmt.Println(path, n.Kind(), n.Size())
	}
	place := p.Place(nil, t.Find("/etc/hostname"))[0]
	fmt.Println(v.Explain(16*2048+80), "|", v.Explain(place.Off+2))
	// Output:
	// 49152 EXAMPLE 2009-02-13-23-31-30-00
	// / directory 0
	// /etc directory 0
	// /etc/hostname file 6
	// primary volume descriptor, volume space size | file /etc/hostname, byte 2
}
