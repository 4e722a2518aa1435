package resolve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition"
)

// seed returns the seed of all identifiers. By default it is a digest of everything that makes the image what it is, so that
// equal inputs have equal identifiers and different ones do not.
func (w world) seed(hosts hosts, store *store, boot *boot) (repro.Seed, error) {
	switch {
	case w.d.Unique.V:
		return repro.SeedOf("unique\n" + w.in.Unique), nil
	case w.d.Seed.V != "":
		return repro.SeedOf("seed\n" + w.d.Seed.V), nil
	}
	identity, err := json.Marshal(w.identity(hosts, store, boot))
	if err != nil {
		return repro.Seed{}, err
	}
	h := sha256.New()
	h.Write(identity)
	items := slices.Clone(store.items)
	slices.SortFunc(items, func(a, b *plan.Item) int { return strings.Compare(a.Info.Path.String(), b.Info.Path.String()) })
	for _, item := range items {
		fmt.Fprintf(h, "%v %x\n", item.Info.Path, item.Info.NARHash)
	}
	return repro.Seed(h.Sum(nil)), nil
}

// A record is a JSON object without zero members. A key that a later version adds is then absent from the record of every
// older description, so the seed, and with it every identifier, stays the same. For the same reason members keep the names
// that they had first, even where the code has renamed the field: another name would change the identifiers of every image.
type record map[string]any

// put adds a member unless its value is zero.
func put[T comparable](r record, name string, value T) {
	var zero T
	if value != zero {
		r[name] = value
	}
}

// putList adds a list of texts unless it is empty.
func putList(r record, name string, list description.List[description.Text]) {
	if len(list.Items) > 0 {
		r[name] = texts(list)
	}
}

// putRecords adds a list of records unless it is empty. An empty record in it is null.
func putRecords(r record, name string, list []record) {
	if len(list) == 0 {
		return
	}
	members := make([]any, len(list))
	for i, member := range list {
		if len(member) > 0 {
			members[i] = member
		}
	}
	r[name] = members
}

// putRecord adds a record unless it is empty.
func putRecord(r record, name string, member record) {
	if len(member) > 0 {
		r[name] = member
	}
}

// texts returns the values of a list of texts.
func texts(list description.List[description.Text]) (all []string) {
	for _, t := range list.Items {
		all = append(all, t.V)
	}
	return all
}

// identity describes everything that reaches the image and nothing else: host paths are replaced by digests of what they name,
// and comments and the order of keys are gone.
func (w world) identity(hosts hosts, store *store, boot *boot) record {
	d, r := w.d, record{}
	put(r, "Name", d.Name.V)
	put(r, "Arch", d.Arch.V)
	put(r, "Format", d.Format.V)
	put(r, "Epoch", w.epoch)
	put(r, "SectorSize", d.SectorSize.V)
	put(r, "UUID", d.UUID.V)
	if d.Table.V != partition.GPT { // absent, as before there was a choice
		put(r, "Table", d.Table.V)
	}
	kind := record{}
	put(kind, "Flavor", d.Store.Flavor.V)
	put(kind, "HardLink", d.Store.HardLink.V)
	putRecord(r, "Store", kind)
	putRecords(r, "Closure", closuresIn(d, store))
	putRecord(r, "Boot", bootIn(d.Boot, hosts, boot))
	putRecords(r, "Partition", hosts.partitionsIn(d))
	var raws []record
	for _, raw := range d.Raw.Items {
		one := record{"Source": hosts.digest(raw.Source.Key, raw.Source.V)}
		putSize(one, "Offset", raw.Offset)
		raws = append(raws, one)
	}
	putRecords(r, "Raw", raws)
	return r
}

// digest returns the digest of what a key names on the host, or the text of a key that names nothing there.
func (h hosts) digest(key diag.Key, text string) string {
	if in := h[key]; in != nil {
		return in.digest
	}
	return text
}

// closuresIn describes the closures by the items that their roots lead to, not by the links in the description.
func closuresIn(d *description.Image, store *store) (list []record) {
	for i, c := range d.Closure.Items {
		r := record{}
		put(r, "Name", c.Name.V)
		var roots []string
		for _, root := range store.closures[i].Roots {
			roots = append(roots, root.String())
		}
		r["Roots"] = roots
		put(r, "Profile", c.Profile.V)
		putList(r, "GCRoots", c.GCRoots)
		list = append(list, r)
	}
	return list
}

// bootIn describes [boot]. Kernels in the store stay as written, since their items are part of the identity anyway.
func bootIn(d description.Boot, hosts hosts, boot *boot) record {
	r := record{}
	put(r, "Loader", d.Loader.V)
	put(r, "Timeout", d.Timeout.V)
	put(r, "Default", d.Default.V)
	putList(r, "Console", d.Console)
	put(r, "CopyKernel", d.CopyKernel.V)
	put(r, "EFIBinary", d.EFIBinary.V)
	if len(boot.inputs) > 0 {
		r["EFIBinary"] = loaderDigest(boot.inputs)
	}
	put(r, "SignKey", hosts.digest(d.SignKey.Key, d.SignKey.V))
	put(r, "SignCert", hosts.digest(d.SignCert.Key, d.SignCert.V))
	var entries []record
	for _, e := range d.Entry.Items {
		one := record{}
		put(one, "Title", e.Title.V)
		put(one, "Kernel", hosts.digest(e.Kernel.Key, string(e.Kernel.V)))
		var initrds []string
		for _, initrd := range e.Initrd.Items {
			initrds = append(initrds, hosts.digest(initrd.Key, string(initrd.V)))
		}
		if initrds != nil {
			one["Initrd"] = initrds
		}
		put(one, "Cmdline", e.Cmdline.V)
		put(one, "DeviceTree", hosts.digest(e.DeviceTree.Key, string(e.DeviceTree.V)))
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
