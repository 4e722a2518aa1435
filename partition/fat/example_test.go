package fat_test

import (
	"fmt"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/partition/fat"
)

// An EFI system partition of 64 MiB, of which the boot sector is read before anything is written.
func ExampleNew() {
	attr := &tree.Attr{}
	b := tree.NewBuilder(attr)
	if err := b.Add("/EFI/BOOT/BOOTX64.EFI", tree.NewFile("", attr, tree.Text("MZ…")), "the example"); err != nil {
		fmt.Println(err)
	}
	t, err := b.Tree()
	if err != nil {
		fmt.Println(err)
	}
	p, err := fat.New(t, fat.Options{Size: 64 << 20, SectorSize: 512, Label: "ESP"})
	if err != nil {
		fmt.Println(err)
	}
	boot := make([]byte, 512)
	if err := extent.ReadAt(p, boot, 0); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("FAT%d, clusters of %d bytes, %q\n", p.Bits(), p.ClusterSize(), boot[43:62])
	// Output: FAT16, clusters of 2048 bytes, "ESP        FAT16   "
}
