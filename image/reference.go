package image

import (
	"fmt"

	"imprint/image/xorriso"
	"imprint/internal/repro"
)

// reference is what a substitution stands for, once all identifiers are chosen.
func (r *resolver) reference(ref Reference) string {
	switch ref.Kind {
	case "disk":
		return r.plan.DiskID()
	case "iso":
		for _, p := range r.plan.Partitions {
			if p.Spec.Filesystem == filesystemISO {
				return p.field(ref.Field)
			}
		}
	case "partition":
		for _, p := range r.plan.Partitions {
			if p.Spec.Name == ref.Name {
				return p.field(ref.Field)
			}
		}
	}
	return r.closureReference(ref)
}

// closureReference is what a substitution stands for that names a root.
func (r *resolver) closureReference(ref Reference) string {
	if roots := r.roots[ref.Name]; ref.Kind == "closure" && ref.Index < len(roots) {
		return roots[ref.Index].String()
	}
	return ""
}

// field is what "${partition.NAME.FIELD}" stands for.
func (p *Partition) field(name string) string {
	switch name {
	case "partuuid":
		return p.PartUUIDText()
	case "label":
		return p.Spec.Label
	}
	return p.VolumeID()
}

// DiskID is the GUID of a disk with a GPT, or the signature of one with an MBR in eight hexadecimal digits.
func (p *Plan) DiskID() string {
	if p.Table == tableMBR {
		return fmt.Sprintf("%08x", p.Signature)
	}
	return p.DiskGUID.String()
}

// PartUUIDText is the PARTUUID as Linux tells it.
func (p *Partition) PartUUIDText() string {
	if p.MBRUUID != "" {
		return p.MBRUUID
	}
	return p.PartUUID.String()
}

// VolumeID is the identifier of the file system as mount and udev tell it: a UUID, or "XXXX-XXXX" of a FAT volume.
func (p *Partition) VolumeID() string {
	switch p.Spec.Filesystem {
	case filesystemISO:
		return xorriso.UUID(p.Modified)
	case filesystemSquash, filesystemEROFS:
		return ""
	case filesystemFAT:
		return fmt.Sprintf("%04X-%04X", p.Spec.Serial>>16, p.Spec.Serial&0xffff)
	}
	if p.Spec.UUID == (repro.UUID{}) {
		return ""
	}
	return p.Spec.UUID.String()
}
