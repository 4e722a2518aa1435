package codec

import (
	"bytes"
	"errors"
	"io"

	rootxz "github.com/therootcompany/xz"
	"github.com/ulikunitz/xz"
)

// XZ returns a Pack that makes one xz stream of each part. dictionary is the size of the dictionary in bytes.
func XZ(dictionary int) Pack {
	return func(dst, part []byte) ([]byte, error) {
		buf := bytes.NewBuffer(dst)
		w, err := xz.WriterConfig{DictCap: dictionary, CheckSum: xz.CRC32}.NewWriter(buf)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
		err = w.Close()
		return buf.Bytes(), err
	}
}

// Unxz is the [Unpack] of one xz stream, which nothing may follow.
func Unxz(dst, stored []byte) error {
	r, err := rootxz.NewReader(bytes.NewReader(stored), maxWindow)
	if err != nil {
		return err
	}
	if err := fill("xz", dst, r); err != nil {
		return err
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF { // reading to the end verifies the check
		return errors.Join(errors.New("xz data: more than the index says"), err)
	}
	return nil
}
