// Package compressed recognises compressed files by their first bytes, whatever their name.
package compressed

// Head is the number of bytes that [By] needs.
const Head = 16

// formats lists compressors by the first bytes of their files; '?' matches any byte. For bzip2 they include the magic number
// of the first block, since other files may begin with "BZh", such as a tar archive, which begins with a file name.
var formats = []struct{ magic, name, unpack string }{
	{"\x1f\x8b\x08", "gzip", "gzip -d"},
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
	{"\xfd7zXZ\x00", "xz", "xz -d"},
	{"BZh?1AY&SY", "bzip2", "bzip2 -d"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -d"},
	{"\x02\x21\x4c\x18", "lz4", "lz4 -d"}, // the format of lz4 -l, which Linux uses for kernels
	{"\x89LZO\x00\r\n\x1a\n", "lzop", "lzop -d"},
	{"\x1f\x9d", "compress", "uncompress"},
	{"LZIP\x01", "lzip", "lzip -d"},
}

// By returns the program that has compressed a file with these first bytes, "" if it is unknown.
func By(head []byte) string {
	for _, f := range formats {
		if begins(head, f.magic) {
			return f.name
		}
	}
	return ""
}

// Unpack returns the command that unpacks files of the named program.
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
