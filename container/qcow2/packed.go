package qcow2

import (
	"encoding/binary"

	"imprint/internal/pieces"
)

// A Compressor appends the compressed form of a cluster to dst. It is called from several goroutines.
type Compressor func(dst, cluster []byte) ([]byte, error)

// Compress returns a writer of compressed clusters, with zstd or else with raw deflate in a window of 4 KiB. A cluster that does not become
// smaller is stored plain.
func Compress(f, spool pieces.File, d pieces.Disk, zstd bool, compress Compressor) pieces.Writer {
	t := plan(d)
	p := &packed{tables: t, file: f, zstd: zstd, compress: compress, end: t.data}
	return pieces.NewOrdered(d, pieces.Sink{Spool: spool}, pieces.Packing{Pack: p.pack, Emit: p.emit, SkipHoles: true, Close: p.close})
}

type packed struct {
	*tables
	file     pieces.File
	zstd     bool
	compress Compressor
	end      int64    // of the clusters
	counts   []uint16 // refcounts of the clusters of data
}

// A packed piece begins with the length of each stored cluster, in lengthSize bytes: 0 for zeros, cluster for a plain one. The stored clusters
// follow.
const lengthSize = 4

// pack is pieces.Packing.Pack.
func (p *packed) pack(dst, content []byte) (_ []byte, err error) {
	clusters := (len(content) + cluster - 1) / cluster
	dst = append(dst, make([]byte, clusters*lengthSize)...)
	for k := range clusters {
		c := content[k*cluster : min(len(content), (k+1)*cluster)]
		if pieces.IsZero(c) {
			continue
		}
		if len(c) < cluster {
			c = append(make([]byte, 0, cluster), c...)[:cluster]
		}
		from := len(dst)
		if dst, err = p.compress(dst, c); err != nil {
			return nil, err
		}
		if len(dst)-from >= cluster {
			dst = append(dst[:from], c...)
		}
		binary.LittleEndian.PutUint32(dst[k*lengthSize:], uint32(len(dst)-from))
	}
	return dst, nil
}

// emit writes the clusters of a piece, and their entries.
func (p *packed) emit(n int64, made []byte) error {
	if made == nil {
		return nil
	}
	clusters := (p.disk.Len(n) + cluster - 1) / cluster
	lengths, data := made[:clusters*lengthSize], made[clusters*lengthSize:]
	table := make([]byte, clusters*8)
	start, from, to := p.end, int64(0), int64(0) // data[from:to] is pending, to be written at start
	for k := range clusters {
		size := int64(binary.LittleEndian.Uint32(lengths[k*lengthSize:]))
		if size == 0 {
			continue
		}
		entry := p.allocate(size)
		if at := p.end - size; at != start+to-from { // a plain cluster was aligned
			if _, err := p.file.WriteAt(data[from:to], start); err != nil {
				return err
			}
			start, from = at, to
		}
		to += size
		binary.BigEndian.PutUint64(table[k*8:], entry)
	}
	if _, err := p.file.WriteAt(data[from:to], start); err != nil {
		return err
	}
	_, err := p.file.WriteAt(table, p.entry(n*p.disk.Piece/cluster))
	return err
}

// allocate allocates space for a stored cluster, and returns its L2 entry.
func (p *packed) allocate(size int64) uint64 {
	if size == cluster {
		p.end = align(p.end)
	}
	at := p.end
	p.end += size
	sectors := (p.end-1)/sector - at/sector
	for c := at / cluster; c <= (p.end-1)/cluster; c++ {
		p.count(c - p.data/cluster)
	}
	if size == cluster {
		return uint64(at) | copied
	}
	return compressed | uint64(sectors)<<offsetBits | uint64(at)
}

func (p *packed) count(i int64) {
	for int64(len(p.counts)) <= i {
		p.counts = append(p.counts, 0)
	}
	p.counts[i]++
}

func (p *packed) close() error {
	return p.finish(p.file, p.end, p.zstd, func(c int64) uint16 {
		if i := c - p.data/cluster; i < int64(len(p.counts)) {
			return p.counts[i]
		}
		return 0
	})
}
