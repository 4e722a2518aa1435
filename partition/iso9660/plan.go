package iso9660

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Plan is the layout of an image, an [extent.Source]. It is immutable, and safe for concurrent use.
type Plan struct {
	*content
	options Options
	bios    *biosImage // nil: there is none
	pieces  []piece    // all structure, in order
	catalog int64      // block of the boot catalog
	files   int64      // block of the first file
	blocks  int64      // up to the end of the last file
	esp     int64      // block of the ESP; 0: there is none
	end     int64      // block after all of it, the ESP too
}

// A piece is blocks [start, end) of structure. put writes its block i into zeros.
type piece struct {
	start, end int64
	put        func(b []byte, i int64)
}

// New lays out an image for a tree. It opens no blob. The error for a node that an image cannot hold names the path.
func New(t *tree.Tree, o Options) (*Plan, error) {
	if o.Align == 0 {
		o.Align = block
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("lay out ISO 9660: %v", err)
	}
	if err := Check(t); err != nil {
		return nil, fmt.Errorf("lay out ISO 9660: %v", err)
	}
	c, err := newContent(t)
	if err != nil {
		return nil, fmt.Errorf("lay out ISO 9660: %v", err)
	}
	p := &Plan{content: c, options: o}
	if err := p.lay(); err != nil {
		return nil, fmt.Errorf("lay out ISO 9660: %v", err)
	}
	return p, nil
}

// lay places everything: volume descriptors where the format wants them, then the boot catalog, path tables and directories of both
// volumes, then files.
func (p *Plan) lay() error {
	if err := p.findBIOS(); err != nil {
		return err
	}
	views := []*view{{Plan: p}}
	if offset := p.options.PartitionOffset; offset > 0 {
		views = append(views, &view{Plan: p, shift: offset})
	}
	at := int64(0)
	for _, v := range views {
		at = p.descriptors(v)
	}
	if p.hasCatalog() {
		p.catalog = at
		at = p.add(at, 1, func(b []byte, _ int64) { p.putCatalog(b) })
	}
	for _, v := range views {
		at = p.tables(v, at)
	}
	for _, v := range views {
		at = p.directories(v, at)
	}
	return p.layFiles(at)
}

// layFiles places the files from block at on, and the ESP after them.
func (p *Plan) layFiles(at int64) error {
	p.files, p.blocks = at, at+int64(p.at[p.tree.Len()])
	p.end = p.blocks
	if p.options.ESP > 0 {
		p.esp = units.Align(p.blocks*block, p.options.Align) / block
		p.end = p.esp + units.Blocks(p.options.ESP, block)
	}
	if p.end >= maxBlocks {
		return fmt.Errorf("%d blocks are needed, an ISO has fewer than %d", p.end, int64(maxBlocks))
	}
	if p.bios != nil {
		p.bios.start = p.fileStart(p.bios.id)
	}
	return nil
}

func (p *Plan) findBIOS() error {
	if p.options.BIOS == nil {
		return nil
	}
	image := *p.options.BIOS
	image.Pointers = slices.Clone(image.Pointers)
	n, err := image.find(p.tree)
	if err == nil {
		p.bios = &biosImage{Blob: n.Blob(), id: n.ID(), BIOSImage: image}
	}
	return err
}

func (p *Plan) hasCatalog() bool { return p.bios != nil || p.options.ESP > 0 }

// add adds a piece and returns where it ends.
func (p *Plan) add(start, blocks int64, put func([]byte, int64)) (end int64) {
	p.pieces = append(p.pieces, piece{start, start + blocks, put})
	return start + blocks
}

// descriptors places the volume descriptors of a view. Only the whole disk's lead to the boot catalog: that has block numbers of the disk.
func (p *Plan) descriptors(v *view) (end int64) {
	at := v.shift + systemArea
	at = p.add(at, 1, func(b []byte, _ int64) { v.putPrimary(b) })
	if v.shift == 0 && p.hasCatalog() {
		at = p.add(at, 1, func(b []byte, _ int64) { p.putBootRecord(b) })
	}
	return p.add(at, 1, func(b []byte, _ int64) { putDescriptor(b, terminator) })
}

func (p *Plan) tables(v *view, at int64) (end int64) {
	v.pathTable = at
	n := p.paths.blocks()
	at = p.add(at, n, func(b []byte, i int64) { v.putPathBlock(b, i, binary.LittleEndian) })
	return p.add(at, n, func(b []byte, i int64) { v.putPathBlock(b, i, binary.BigEndian) })
}

func (p *Plan) directories(v *view, at int64) (end int64) {
	v.dirBase = at
	return p.add(at, p.dirsEnd, func(b []byte, i int64) { v.putDirBlock(b, i) })
}

// fileStart returns the block of the disk where the content of a file begins, by its node ID.
func (p *Plan) fileStart(id int) int64 { return p.files + int64(p.at[id]) }

// dirAt returns the directory with a block, counted from the first directory's.
func (c *content) dirAt(at int64) *dir {
	return &c.dirs[sort.Search(len(c.dirs), func(i int) bool { return int64(c.dirs[i].at) > at })-1]
}

// BlockSize returns the size of a block, 2048 bytes.
func (p *Plan) BlockSize() int64 { return block }

// Size returns the size of the image in bytes, up to the end of the last file: a multiple of 2048. It includes the system area, 32 KiB that
// the plan leaves zero for boot code and a partition table.
func (p *Plan) Size() int64 { return p.blocks * block }

// ESPOffset returns where the EFI system partition must lie, in bytes of the disk: at the first multiple of [Options.Align] after the image.
// It is 0 if there is none.
func (p *Plan) ESPOffset() int64 { return p.esp * block }
