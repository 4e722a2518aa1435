package container

import (
	"io"

	"imprint/container/bmap"
	"imprint/container/codec"
	"imprint/container/gce"
	"imprint/container/gz"
	"imprint/container/oci"
	"imprint/container/ova"
	"imprint/container/qcow2"
	"imprint/container/vhd"
	"imprint/container/vhdx"
	"imprint/container/vmdk"
	"imprint/container/xz"
	"imprint/container/zst"
	"imprint/internal/pieces"
)

// Compressions of formats that may be compressed.
const (
	zstdParts    = "zstd"
	deflateParts = "deflate"
)

// deflateLevel is the level of layers, for which none can be chosen.
const deflateLevel = 6

// leastPiece is the least length in bytes of the pieces of a disk.
const leastPiece = 4 << 20

// inflateWindow is the window in bytes that QEMU allows for deflated clusters (docs/interop/qcow2.rst).
const inflateWindow = 4 << 10

// Formats are all formats.
var Formats = []*Format{
	{
		Name: Raw, Doc: "the disk, byte for byte", Suffixes: []string{".raw", ".img", ".iso"}, Streams: true, QEMU: "raw", Readable: true,
		create: plain,
	},
	{
		Name: "qcow2", Doc: "QEMU's format: Proxmox, OpenStack, libvirt", Suffixes: []string{".qcow2"}, QEMU: "qcow2", Readable: true,
		Compressions: []string{zstdParts, deflateParts}, Level: 1, MostLevel: 19,
		create: func(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
			switch o.Compression {
			case zstdParts:
				pack, err := zstdAt(o)
				return qcow2.Compress(t.File, t.Spool, d, true, qcow2.Compressor(pack)), err
			case deflateParts:
				return qcow2.Compress(t.File, t.Spool, d, false, qcow2.Compressor(codec.Deflate(o.Level, inflateWindow))), nil
			}
			return qcow2.Create(t.File, d), nil
		},
	},
	{
		Name: "raw.zst", Doc: "zstd frames with a seek table", Suffixes: []string{".zst", ".zstd"}, Streams: true, Readable: true, Level: 1, MostLevel: 19,
		check:  func(size int64) error { return zst.Check(pieces.Disk{Size: size, Piece: leastPiece}) },
		create: inFrames,
	},
	{
		Name: "raw.gz", Doc: "members of gzip", Suffixes: []string{".gz"}, Streams: true, Readable: true, Level: 6, MostLevel: 9,
		create: inMembers,
	},
	{
		Name: "raw.xz", Doc: "streams of xz", Suffixes: []string{".xz"}, Streams: true, Readable: true, Level: 1, MostLevel: 0,
		create: inStreams,
	},
	{
		Name: "vmdk", Doc: "VMware's sparse format", Suffixes: []string{".vmdk"}, QEMU: "vmdk", Readable: true, size: vmdk.Size, check: vmdk.Check,
		create: func(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) { return vmdk.Sparse(t.File, d), nil },
	},
	{
		Name: "vmdk-stream", Doc: "VMware's stream-optimised format, compressed, for uploads", Suffixes: []string{".stream.vmdk"}, Streams: true, QEMU: "vmdk",
		Readable: true, Level: 6, MostLevel: 9, size: vmdk.Size, check: vmdk.Check,
		create: func(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
			return vmdk.Stream(appender(t.File), t.Spool, d, vmdk.Pack(codec.Deflate(o.Level, 0)))
		},
	},
	{
		Name: "ova", Doc: "a virtual machine of VMware or VirtualBox in one file", Suffixes: []string{".ova"},
		Readable: true, Level: 6, MostLevel: 9, size: vmdk.Size, check: vmdk.Check,
		create: func(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
			return ova.Create(t.File, ova.Machine{Name: o.Name, UEFI: o.UEFI, Size: vmdk.Size(d.Size)}, func(w io.Writer) (pieces.Writer, error) {
				return vmdk.Stream(w, t.Spool, d, vmdk.Pack(codec.Deflate(o.Level, 0)))
			})
		},
	},
	{
		Name: "vhd", Doc: "a fixed VHD of whole MiB, for Azure", Suffixes: []string{".vhd"}, QEMU: "vpc", Readable: true, size: vhd.Size, check: vhd.Check,
		create: func(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) { return vhd.Fixed(t.File, d), nil },
	},
	{
		Name: "vhd-dynamic", Doc: "a dynamic VHD", Suffixes: []string{".dynamic.vhd"}, QEMU: "vpc", Readable: true, size: vhd.Size, check: vhd.Check,
		create: func(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) { return vhd.Dynamic(t.File, d), nil },
	},
	{
		Name: "vhdx", Doc: "Hyper-V's dynamic format", Suffixes: []string{".vhdx"}, QEMU: "vhdx", Readable: true, check: vhdx.Check,
		create: func(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) { return vhdx.Create(t.File, d), nil },
	},
	{
		Name: "gce", Doc: "disk.raw of whole GiB in a tar.gz, for Google Compute Engine", Suffixes: []string{".gce.tar.gz"}, Streams: true, Level: 6, MostLevel: 9,
		size: gce.Size,
		create: func(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
			return gce.Create(appender(t.File), t.Spool, d, gce.Pack(codec.DeflatePart(o.Level)))
		},
	},
	{
		Name: BlockMap, Doc: "the map by which bmaptool copies the raw file", Suffixes: []string{".bmap"}, Beside: true,
		create: func(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) {
			return bmap.Create(appender(t.File), d), nil
		},
	},
	{Name: "tar", Doc: "the files of a partition, as a tar archive", Suffixes: []string{".tar"}, Streams: true, Tree: true, create: plain},
	{
		Name: "tar.zst", Doc: "that archive, packed as raw.zst is", Suffixes: []string{".tar.zst", ".tar.zstd"}, Streams: true, Tree: true, Level: 1, MostLevel: 19,
		create: inFrames,
	},
	{Name: "tar.gz", Doc: "that archive, packed as raw.gz is", Suffixes: []string{".tar.gz", ".tgz"}, Streams: true, Tree: true, Level: 6, MostLevel: 9, create: inMembers},
	{Name: "tar.xz", Doc: "that archive, packed as raw.xz is", Suffixes: []string{".tar.xz", ".txz"}, Streams: true, Tree: true, Level: 1, create: inStreams},
	{
		Name: "oci", Doc: "a container image of the files of a partition, with layers by store item", Suffixes: []string{".oci.tar"}, Tree: true, Layers: true,
		Compressions: []string{zstdParts, deflateParts}, Level: 1, MostLevel: 19,
		create: func(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
			how, err := packingOf(o)
			if err != nil {
				return nil, err
			}
			return oci.Create(t.File, t.Spool, t.Whole, d, o.Image, how)
		},
	},
}

// packingOf returns how layers are stored.
func packingOf(o Options) (oci.Packing, error) {
	how := oci.Packing{Workers: o.Workers}
	switch o.Compression {
	case zstdParts:
		pack, err := zstdAt(o)
		how.Suffix, how.Pack = "+zstd", pack
		return how, err
	case deflateParts:
		pack := gz.Pack(codec.Deflate(deflateLevel, 0))
		how.Suffix, how.Pack = "+gzip", func(dst, part []byte) ([]byte, error) { return gz.Member(dst, part, pack) }
	}
	return how, nil
}

// plain writes the bytes as they are.
func plain(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) {
	if t.Pipe {
		return inOrder(appender(t.File), t.Spool, d), nil
	}
	return &rawWriter{t.File, d}, nil
}

// inFrames packs with zstd.
func inFrames(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
	pack, err := zstdAt(o)
	return zst.Create(t.sink(), d, zst.Pack(pack)), err
}

// inMembers packs with gzip.
func inMembers(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
	return gz.Create(t.sink(), d, gz.Pack(codec.Deflate(o.Level, 0))), nil
}

// inStreams packs with xz.
func inStreams(t Target, d pieces.Disk, _ Options) (pieces.Writer, error) {
	return xz.Create(t.sink(), d, xz.Pack(codec.XZ(int(d.Piece)))), nil
}
