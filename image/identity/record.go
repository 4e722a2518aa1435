package identity

import "imprint/image/description"

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
		r[name] = description.Strings(list)
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

// putMode adds a mode. Set tells mode 0 from an absent key.
func putMode(r record, mode description.Value[description.Mode]) {
	bits := record{}
	put(bits, "Bits", uint16(mode.V))
	put(bits, "Set", mode.Written())
	putRecord(r, "Mode", bits)
}

// putSize adds a size that was written or has a default. The members are those of the struct that was once encoded directly.
func putSize(r record, name string, size description.Value[description.Size]) {
	one := record{}
	put(one, "Bytes", size.V.Bytes)
	put(one, "Auto", size.V.Auto)
	put(one, "Set", size.Written() || size.V != description.Size{})
	putRecord(r, name, one)
}
