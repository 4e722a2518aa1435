package codec

import (
	"bytes"
	"errors"
	"io"

	rootxz "github.com/therootcompany/xz"
	"github.com/ulikunitz/xz"
)

// XZ returns a Pack that makes one stream of xz of each part, with a dictionary of as many bytes.
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

// Unxz is the [Unpack] of a stream of xz that nothing follows.
func Unxz(dst, stored []byte) error {
	r, err := rootxz.NewReader(bytes.NewReader(stored), maxWindow)
	if err != nil {
		return err
	}
	if err := fill("xz", dst, r); err != nil {
		return err
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF { // which verifies the check
		return errors.Join(errors.New("xz data: more than the index says"), err)
	}
	return nil
}
