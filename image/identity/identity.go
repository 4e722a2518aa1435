// Package identity computes the seed of an image: a digest of all its inputs, so that equal inputs have equal identifiers and different
// inputs do not.
//
// The digest is of a record, the description field by field. The record keeps the names that fields had first and omits what is
// zero, so that a key that a later version adds changes no existing image. A new key of the description has its line here.
package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition"
)

// An Image holds the inputs of an image.
type Image struct {
	Description *description.Image // with its defaults
	Epoch       int64              // seconds since 1970
	Hosts       host.Inputs
	Closures    []*plan.Closure      // in the order of the description
	Items       []*plan.Item         // of all closures
	Loader      map[string]tree.Blob // files that the boot loader is made of; those without a pin are in Items
}

// Seed returns the seed from which the identifiers of the image derive. It ignores a seed in the description.
func (m Image) Seed() (repro.Seed, error) {
	identity, err := json.Marshal(m.record())
	if err != nil {
		return repro.Seed{}, err
	}
	h := sha256.New()
	h.Write(identity)
	items := slices.Clone(m.Items)
	slices.SortFunc(items, func(a, b *plan.Item) int { return strings.Compare(a.Info.Path.String(), b.Info.Path.String()) })
	for _, item := range items {
		fmt.Fprintf(h, "%v %x\n", item.Info.Path, item.Info.NARHash)
	}
	return repro.Seed(h.Sum(nil)), nil
}

// record describes everything that reaches the image and nothing else: host paths are replaced by digests of what they name,
// and comments and the order of keys are gone.
func (m Image) record() record {
	d, r := m.Description, record{}
	put(r, "Name", d.Name.V)
	put(r, "Arch", d.Arch.V)
	put(r, "Format", d.Format.V)
	put(r, "Epoch", m.Epoch)
	put(r, "SectorSize", d.SectorSize.V)
	put(r, "UUID", d.UUID.V)
	if d.Table.V != partition.GPT { // absent, as before there was a choice
		put(r, "Table", d.Table.V)
	}
	putSize(r, "Size", d.Size)
	putSize(r, "Multiple", d.Multiple)
	putSize(r, "EntriesAt", d.EntriesAt)
	put(r, "MBRActive", d.MBRActive.V)
	kind := record{}
	put(kind, "Flavor", d.Store.Flavor.V)
	put(kind, "HardLink", d.Store.HardLink.V)
	putRecord(r, "Store", kind)
	putRecords(r, "Closure", m.closures())
	putRecord(r, "Boot", m.boot())
	putRecords(r, "Partition", m.partitions())
	var raws []record
	for _, raw := range d.Raw.Items {
		one := record{"Source": m.Hosts.Digest(raw.Source.Key, raw.Source.V)}
		putSize(one, "Offset", raw.Offset)
		raws = append(raws, one)
	}
	putRecords(r, "Raw", raws)
	return r
}

// closures describes the closures by the items that their roots lead to, not by the links in the description.
func (m Image) closures() (list []record) {
	for i, c := range m.Description.Closure.Items {
		r := record{}
		put(r, "Name", c.Name.V)
		var roots []string
		for _, root := range m.Closures[i].Roots {
			roots = append(roots, root.String())
		}
		r["Roots"] = roots
		put(r, "Profile", c.Profile.V)
		putList(r, "GCRoots", c.GCRoots)
		list = append(list, r)
	}
	return list
}

// boot describes [boot]. Kernels in the store stay as written, since their items are part of the identity anyway.
func (m Image) boot() record {
	d, r := m.Description.Boot, record{}
	put(r, "Loader", d.Loader.V)
	put(r, "Timeout", d.Timeout.V)
	put(r, "Default", d.Default.V)
	putList(r, "Console", d.Console)
	put(r, "CopyKernel", d.CopyKernel.V)
	put(r, "EFIBinary", d.EFIBinary.V)
	if len(m.Loader) > 0 {
		r["EFIBinary"] = loaderDigest(m.Loader)
	}
	put(r, "System", string(d.System.V))
	put(r, "SignKey", m.Hosts.Digest(d.SignKey.Key, d.SignKey.V))
	put(r, "SignCert", m.Hosts.Digest(d.SignCert.Key, d.SignCert.V))
	put(r, "Color", d.Color.V)
	put(r, "Highlight", d.Highlight.V)
	put(r, "Background", m.Hosts.Digest(d.Background.Key, d.Background.V))
	if d.Editor.Written() { // false differs from an absent key
		r["Editor"] = d.Editor.V
	}
	put(r, "ConsoleMode", d.Mode.V)
	putList(r, "Lines", d.Lines)
	var entries []record
	for _, e := range d.Entry.Items {
		one := record{}
		put(one, "Title", e.Title.V)
		put(one, "System", string(e.System.V))
		put(one, "Kernel", m.Hosts.Digest(e.Kernel.Key, string(e.Kernel.V)))
		var initrds []string
		for _, initrd := range e.Initrd.Items {
			initrds = append(initrds, m.Hosts.Digest(initrd.Key, string(initrd.V)))
		}
		if initrds != nil {
			one["Initrd"] = initrds
		}
		put(one, "Cmdline", e.Cmdline.V)
		put(one, "DeviceTree", m.Hosts.Digest(e.DeviceTree.Key, string(e.DeviceTree.V)))
		put(one, "Plain", e.Plain.V)
		put(one, "Submenu", e.Submenu.V)
		entries = append(entries, one)
	}
	putRecords(r, "Entry", entries)
	return r
}

// loaderDigest stands for the files that the loader is made of. Those from a closure are covered by the NAR hash of their
// item. Several loaders take several files, but the record still calls the member EFIBinary (see [record]).
func loaderDigest(inputs map[string]tree.Blob) string {
	var digests []string
	for _, path := range slices.Sorted(maps.Keys(inputs)) {
		if sum, ok := tree.PinOf(inputs[path]); ok {
			digests = append(digests, hex.EncodeToString(sum[:]))
		} else {
			digests = append(digests, "closure")
		}
	}
	return strings.Join(digests, "+")
}
