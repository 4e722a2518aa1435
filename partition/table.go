package partition

// Partition tables, by the words of descriptions; ISO is that of an ISO 9660 image, which has a GPT and a boot catalog.
const (
	GPT = "gpt"
	MBR = "mbr"
	ISO = "iso"
)
