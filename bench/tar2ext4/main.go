// Tar2ext4 makes an ext4 file system of a compressed layer with hcsshim's converter, to compare with: tar2ext4 LAYER.tar.gz OUT.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"
	"github.com/klauspost/compress/gzip"
)

func main() {
	if err := convert(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "tar2ext4:", err)
		os.Exit(1)
	}
}

func convert(in, out string) error {
	r, err := os.Open(in)
	if err != nil {
		return err
	}
	defer r.Close()
	layer, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	if err != nil {
		return err
	}
	w, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := tar2ext4.Convert(layer, w, tar2ext4.MaximumDiskSize(1<<40)); err != nil {
		return err
	}
	return w.Close()
}
