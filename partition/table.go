package partition

// Partition tables, as descriptions name them. ISO is that of an ISO 9660 image: a GPT, and a boot catalog.
const (
	GPT = "gpt"
	MBR = "mbr"
	ISO = "iso"
)
