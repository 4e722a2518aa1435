package ext4

import (
	"bytes"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

// The fields of an inode lie in the order of the struct, as encoding/binary writes them, and are read back from there.
func TestInodeFields(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), oldInode+extraFields, oldInode+extraFields).Draw(t, "bytes")
		var n, again inode
		n.decode(want)
		got := make([]byte, inodeSize)
		n.encode(got)
		if !bytes.Equal(got[:len(want)], want) || !bytes.Equal(got[len(want):], make([]byte, inodeSize-len(want))) {
			t.Fatalf("%x was encoded as %x", want, got)
		}
		if again.decode(got); again != n {
			t.Fatalf("%+v was read back as %+v", n, again)
		}
	})
}

func BenchmarkInodeEncode(b *testing.B) {
	n, p := newInode(modeTypes[0], plain.Mtime), make([]byte, inodeSize)
	for b.Loop() {
		n.encode(p)
	}
}
