package gpt_test

import (
	"fmt"

	"imprint/image/gpt"
	"imprint/internal/extent"
	"imprint/internal/fault"
	"imprint/internal/repro"
)

// A table is a few extents of the disk, which is read here without being written. Its disk has grown by 1 MiB: the backup is no longer at
// the end, and the protective MBR does not cover all of it.
func ExampleInspect() {
	seed := repro.SeedOf("the example")
	const sector, sectors = 512, 8192
	table := gpt.Table{DiskGUID: seed.UUID("disk"), SectorSize: sector, Sectors: sectors, Partitions: []gpt.Partition{
		{Name: "root", Type: seed.UUID("type"), UUID: seed.UUID("root"), Start: 2048, Sectors: 4096},
	}}
	extents, err := table.Extents()
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range extents {
		fmt.Printf("%d bytes at %d\n", e.Len, e.Off)
	}
	const grown = (sectors + 2048) * sector
	disk, err := extent.NewBlob(extents, grown).Open()
	if err != nil {
		fmt.Println(err)
	}
	found, err := gpt.Inspect(disk, grown, 0, func(f fault.Fault) { fmt.Println(f) })
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(found.Partitions[0].Name, "|", gpt.Explain(disk, grown, 0, 1024+56))
	// Output:
	// 66 bytes at 446
	// 512 bytes at 512
	// 16384 bytes at 1024
	// 16384 bytes at 4177408
	// 512 bytes at 4193792
	// byte 544: primary header: the backup is in sector 8191, but the last sector is 10239: the disk has grown by 1048576 bytes
	// byte 451: protective MBR: EndingCHS is 82 02 00, a2 22 00 is expected
	// byte 458: protective MBR: SizeInLBA is 8191, 10239 is expected
	// root | primary entry 1, PartitionName
}
