package iso9660

import (
	"bytes"
	"fmt"
	"slices"

	"imprint/internal/fault"
)

// A useAudit is what the system use entries of a record say.
type useAudit struct {
	rr  rockRidge
	px  []int64 // numbers of PX
	all []byte  // all entries but those that lead to continuation areas
}

// systemUse checks the system use entries of a record and of its continuation areas.
func (d *dirAudit) systemUse(r record, t *auditTree) *useAudit {
	u := &useAudit{}
	if t.skip < 0 || len(r.use) < t.skip {
		return u
	}
	field, at := r.use[t.skip:], d.at+int64(len(d.raw)-len(r.use)+t.skip)
	for range maxAreas {
		next, nextAt := d.area(u, field, at, t)
		if next == nil {
			return u
		}
		field, at = next, nextAt
	}
	d.wrong(d.at, fmt.Sprintf("more than %d continuation areas", maxAreas))
	return u
}

// area checks the entries p of one area, which lies at offset at, and returns the next area.
func (d *dirAudit) area(u *useAudit, p []byte, at int64, t *auditTree) (next []byte, nextAt int64) {
	for len(p) >= entryHeader && p[0] != 0 {
		signature, n := string(p[:2]), int(p[2])
		if n < entryHeader || n > len(p) {
			d.wrong(at, fmt.Sprintf("system use entry %q of %d bytes where %d are left", signature, n, len(p)))
			return next, nextAt
		}
		if p[3] != entryVersion {
			d.wrong(at+3, fault.Mismatch("version of "+signature, p[3], entryVersion))
		}
		switch data := p[entryHeader:n]; signature {
		case "CE":
			next, nextAt = d.continued(data, at, t)
		case "ST":
			return next, nextAt
		default:
			d.entry(u, signature, data, at)
			u.all = append(u.all, p[:n]...)
		}
		p, at = p[n:], at+int64(n)
	}
	if i := slices.IndexFunc(p, func(c byte) bool { return c != 0 }); i >= 0 {
		d.wrong(at+int64(i), "bytes after the system use entries are not zero")
	}
	return next, nextAt
}

// entry checks an entry of Rock Ridge.
func (d *dirAudit) entry(u *useAudit, signature string, data []byte, at int64) {
	if err := u.rr.entry(signature, data); err != nil {
		d.wrong(at, fmt.Sprintf("%s: %v", signature, err))
		return
	}
	switch signature {
	case "PX":
		for i := 0; i+8 <= len(data); i += 8 {
			n, _ := both(data[i:])
			u.px = append(u.px, n)
		}
	case "TF":
		d.dates(data, at)
	case "SP":
		if !bytes.Equal(data[:min(2, len(data))], []byte{0xbe, 0xef}) {
			d.wrong(at, "SP lacks the bytes be ef")
		}
	case "PL", "CL":
		if _, err := numbers(data, 1); err != nil {
			d.wrong(at, fmt.Sprintf("%s: %v", signature, err))
		}
	}
}

// dates checks the times of a TF entry.
func (d *dirAudit) dates(data []byte, at int64) {
	if data[0]&longForm != 0 {
		return
	}
	for i := 1; i+shortDateSize <= len(data); i += shortDateSize {
		if !validDate(data[i:]) {
			d.wrong(at+entryHeader+int64(i), fmt.Sprintf("TF: % x is not a date", data[i:i+shortDateSize]))
		}
	}
}

// continued returns the continuation area that a CE entry leads to, and its offset.
func (d *dirAudit) continued(data []byte, from int64, t *auditTree) ([]byte, int64) {
	n, err := numbers(data, 3)
	if err != nil {
		d.wrong(from, fmt.Sprintf("CE: %v", err))
		return nil, 0
	}
	at := (n[0]+t.shift)*block + n[1]
	if n[2] > maxArea || n[1] >= block {
		d.wrong(from, fmt.Sprintf("CE: continuation area of %d bytes at byte %d of a block", n[2], n[1]))
		return nil, 0
	}
	area := make([]byte, n[2])
	if !d.use(at, n[2], claim{use: areaUse, id: d.id}) {
		if !d.full {
			d.wrong(from, fmt.Sprintf("CE: %d bytes at %d of an image of %d", n[2], at, d.audit.size))
		}
		return nil, 0
	}
	if err := d.read(area, at); err != nil {
		d.wrong(from, fmt.Sprintf("CE: %v", err))
		return nil, 0
	}
	return area, at
}

// links compares link counts with the names of each file, and the attributes of directories in both of their records.
func (a *audit) links() {
	for _, f := range a.families {
		if f.links < f.names {
			a.fault(f.at, a.filePath(f.file), "directory record", fmt.Sprintf("PX has %d links, the file has %d names", f.links, f.names))
		}
	}
	for i := range a.dirs {
		d := &a.dirs[i]
		if d.px != nil && d.own != nil && !slices.Equal(d.px, d.own) {
			a.fault(d.ownAt, a.path(int32(i)), "directory record", fmt.Sprintf("PX of the directory's own record is %o, the record that names it has %o", d.own, d.px))
		}
	}
}

// overlaps reports bytes that two structures or files use.
func (a *audit) overlaps() {
	for one, two := range a.spans.Overlaps() {
		if one.What.use == catalogUse && two.What.use == fileUse || one.What.use == fileUse && two.What.use == catalogUse {
			continue // mkisofs shows the boot catalog as a file
		}
		a.fault(two.Off, "", a.claimName(two.What), fmt.Sprintf("bytes %d to %d are those of %s too, which has %d to %d",
			two.Off, two.End()-1, a.claimName(one.What), one.Off, one.End()-1))
	}
}

// claimName names a claim in messages.
func (a *audit) claimName(p claim) string {
	switch p.use {
	case descriptorUse:
		return a.trees[p.id].name
	case dirUse:
		return "directory " + a.path(p.id)
	case areaUse:
		return "continuation area of directory " + a.path(p.id)
	case fileUse:
		return "file " + a.filePath(p.id)
	}
	return [...]string{terminatorUse: "terminator", bootRecordUse: "boot record", catalogUse: "boot catalog", tableLUse: "path table L",
		tableMUse: "path table M"}[p.use]
}
