package ext4

import (
	"bytes"
	"fmt"
	"imprint/internal/tree"
	"strings"
)

// refusedFlags returns why the content of an inode cannot be read, "" if it can. Verity and casefold do not matter: the hash tree of the
// former lies after the content, and the latter only changes how names are looked up.
func refusedFlags(n *inode) string {
	switch {
	case n.Flags&encryptFlag != 0:
		return "encrypted"
	case n.Flags&compressedFlag != 0 && n.Flags&extentsFlag == 0 && n.Flags&compressedBlocksFlag != 0:
		return "compressed"
	}
	return ""
}

// file returns the content of a file.
func (r *treeReader) file(n *inode, b []byte, refused string) (tree.Blob, error) {
	if err := r.checkSize(n); err != nil {
		return nil, err
	}
	if n.Flags&inlineFlag == 0 || refused != "" {
		return r.blob(n, refused), nil
	}
	content, err := r.inline(n, b)
	return tree.Text(content), err
}

// inline returns the content that lies in the inode itself (kernel: "Inline Data").
func (r *treeReader) inline(n *inode, b []byte) (string, error) {
	rest, err := r.inlineRest(b)
	if err != nil {
		return "", err
	}
	whole := append(n.Block[:], rest...)
	if n.size() < 0 || n.size() > int64(len(whole)) {
		return "", fmt.Errorf("inline content of %d bytes, the inode has %d", n.size(), len(whole))
	}
	return string(whole[:n.size()]), nil
}

// target returns the target of a symlink: in the inode, or in a block.
func (r *treeReader) target(n *inode, b []byte) (target string, err error) {
	switch size := n.size(); {
	case size <= 0 || size >= r.blockSize && n.Flags&inlineFlag == 0 || size > 4095:
		return "", fmt.Errorf("symlink target of %d bytes, 1 to %d are allowed", size, min(r.blockSize-1, 4095))
	case n.Flags&inlineFlag != 0:
		target, err = r.inline(n, b)
	case r.fast(n):
		target = string(n.Block[:size])
	default:
		var whole []byte
		whole, err = r.contentBytes(n)
		target = string(whole)
	}
	if err == nil && strings.IndexByte(target, 0) >= 0 {
		return "", fmt.Errorf("symlink target %.60q holds a NUL", target)
	}
	return target, err
}

// contentBytes reads a short content.
func (r *treeReader) contentBytes(n *inode) ([]byte, error) {
	m := r.structureMap(n)
	var content bytes.Buffer
	for rest := n.size(); rest > 0; rest -= r.blockSize {
		run, err := m.locate((n.size() - rest) / r.blockSize)
		if err != nil {
			return nil, err
		}
		if run.physical == hole {
			return nil, fmt.Errorf("content of %d bytes has a hole", n.size())
		}
		b, err := r.block(run.physical)
		if err != nil {
			return nil, err
		}
		content.Write(b[:min(rest, r.blockSize)])
	}
	return content.Bytes(), nil
}
