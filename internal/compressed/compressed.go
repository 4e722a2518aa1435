// Package compressed recognises compressed files by their first bytes, whatever they are called.
package compressed

// Head is how many bytes [By] needs.
const Head = 16

// formats are compressors by the bytes that their files begin with; '?' stands for any byte. That of bzip2 includes the magic number of its
// first block: a file of another kind, such as a tar archive, which begins with a file name, may well begin with "BZh".
var formats = []struct{ magic, name, unpack string }{
	{"\x1f\x8b\x08", "gzip", "gzip -d"},
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
	{"\xfd7zXZ\x00", "xz", "xz -d"},
	{"BZh?1AY&SY", "bzip2", "bzip2 -d"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -d"},
	{"\x02\x21\x4c\x18", "lz4", "lz4 -d"}, // the format of lz4 -l, which Linux makes kernels with
	{"\x89LZO\x00\r\n\x1a\n", "lzop", "lzop -d"},
	{"\x1f\x9d", "compress", "uncompress"},
	{"LZIP\x01", "lzip", "lzip -d"},
}

// By returns the name of the program that has compressed a file with the given first bytes, "" if it is none of the known ones.
func By(head []byte) string {
	for _, f := range formats {
		if begins(head, f.magic) {
			return f.name
		}
	}
	return ""
}

// Unpack is the command that unpacks what the named program has compressed.
func Unpack(name string) string {
	for _, f := range formats {
		if f.name == name {
			return f.unpack
		}
	}
	return ""
}

func begins(head []byte, magic string) bool {
	if len(head) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != head[i] && magic[i] != '?' {
			return false
		}
	}
	return true
}
