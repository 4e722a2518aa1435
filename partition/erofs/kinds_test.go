package erofs

import (
	"io"
	"os/exec"

	"imprint/internal/tree"
)

func command(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// zeros is a file of so many zero bytes that is not sparse; tests leave it out when they write.
type zeros int64

func (z zeros) Size() int64                { return int64(z) }
func (z zeros) Open() (tree.Reader, error) { return z, nil }
func (z zeros) Close() error               { return nil }
func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, int64(z)-off)))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
