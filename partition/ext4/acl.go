package ext4

import (
	"fmt"
)

// Names of the extended attributes that hold POSIX access control lists.
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// Versions of the two forms of a list: that of system calls, and that of ext4.
const (
	aclVersion       = 2
	storedACLVersion = 1
)

// Tags of entries that name a user or a group; all other entries are stored without an ID (linux/posix_acl.h: ACL_USER, ACL_GROUP).
const (
	aclUser  = 0x02
	aclGroup = 0x08
)

// storedACL converts an access control list from the form of system calls, with entries of 8 bytes (tag, permissions, ID), to that of ext4,
// which omits the IDs of entries that name no user or group.
func storedACL(value []byte) ([]byte, error) {
	if len(value) < 4 || len(value)%8 != 4 {
		return nil, fmt.Errorf("access control list of %d bytes: not 4 and a multiple of 8", len(value))
	}
	if v := le.Uint32(value); v != aclVersion {
		return nil, fmt.Errorf("access control list of version %d, not %d", v, aclVersion)
	}
	stored := le.AppendUint32(nil, storedACLVersion)
	for entry := value[4:]; len(entry) > 0; entry = entry[8:] {
		switch tag := le.Uint16(entry); tag {
		case aclUser, aclGroup:
			stored = append(stored, entry[:8]...)
		case 0x01, 0x04, 0x10, 0x20: // owner, owning group, mask, other
			stored = append(stored, entry[:4]...)
		default:
			return nil, fmt.Errorf("access control list with an entry of tag 0x%x", tag)
		}
	}
	return stored, nil
}

// loadedACL is the inverse of storedACL. IDs that have no meaning are all ones, as in system calls.
func loadedACL(stored []byte) ([]byte, error) {
	if len(stored) < 4 || le.Uint32(stored) != storedACLVersion {
		return nil, fmt.Errorf("access control list of %d bytes is not of version %d", len(stored), storedACLVersion)
	}
	value := le.AppendUint32(nil, aclVersion)
	for entry := stored[4:]; len(entry) > 0; {
		n := 4
		if len(entry) >= 4 && (le.Uint16(entry) == aclUser || le.Uint16(entry) == aclGroup) {
			n = 8
		}
		if len(entry) < n {
			return nil, fmt.Errorf("access control list ends with %d bytes of an entry", len(entry))
		}
		value = append(value, entry[:n]...)
		if n == 4 {
			value = le.AppendUint32(value, 1<<32-1)
		}
		entry = entry[n:]
	}
	return value, nil
}
