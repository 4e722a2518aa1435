package partition

// Partition tables, as descriptions name them. HybridMBR is a GPT with some of its partitions in the MBR too. ISO is that of an
// ISO 9660 image: a GPT, and a boot catalog.
const (
	GPT       = "gpt"
	MBR       = "mbr"
	HybridMBR = "hybrid"
	ISO       = "iso"
)
