// Package ova writes a virtual machine as one file (DMTF, Open Virtualization Format 1.1, DSP0243): a tar archive of a description in XML, a
// disk, and a manifest with their hashes, in this order. It reads the disk of such an archive.
package ova

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"imprint/internal/pieces"
)

const (
	block  = 512
	mode   = 0o644
	ending = 2 * block
)

// A Machine describes the virtual machine of an archive, apart from its disk.
type Machine struct {
	Name string
	UEFI bool  // the firmware; otherwise a BIOS
	Size int64 // bytes of the disk
}

// A Disk returns a writer of the archive's disk to w.
type Disk func(w io.Writer) (pieces.Writer, error)

// Create returns a writer. disk makes the stream-optimised VMDK.
func Create(f io.WriterAt, m Machine, disk Disk) (pieces.Writer, error) {
	a := &archive{file: f, machine: m, hash: sha256.New()}
	a.start = a.after(0, int64(len(m.ovf(longest)))) + block
	var err error
	a.Writer, err = disk(a)
	return a, err
}

// longest is a size with the most digits. With it the description has its maximum length, so that the offset of the disk, which follows it in
// the archive, is known before the length of the disk.
const longest = 1<<63 - 1

type archive struct {
	pieces.Writer
	file    io.WriterAt
	machine Machine
	start   int64 // offset of the disk
	size    int64 // bytes of the disk so far
	hash    hash.Hash
}

// after returns the offset after a file of size bytes whose header is at off.
func (a *archive) after(off, size int64) int64 { return off + block + (size+block-1)/block*block }

// Write writes the next bytes of the disk.
func (a *archive) Write(p []byte) (int, error) {
	n, err := a.file.WriteAt(p, a.start+a.size)
	a.size += int64(n)
	a.hash.Write(p[:n])
	return n, err
}

// Close implements pieces.Writer.
func (a *archive) Close() error {
	if err := a.Writer.Close(); err != nil {
		return err
	}
	ovf := a.machine.ovf(a.size)
	for pad := len(a.machine.ovf(longest)) - len(ovf); pad > 0; pad-- {
		ovf = append(ovf, '\n')
	}
	manifest := fmt.Appendf(nil, "SHA256(%s)= %x\nSHA256(%s)= %x\n", a.machine.file("ovf"), sha256.Sum256(ovf), a.machine.file("vmdk"), a.hash.Sum(nil))
	end := a.after(a.start-block, a.size)
	for _, part := range []struct {
		off     int64
		name    string
		size    int64
		content []byte
	}{
		{0, "ovf", int64(len(ovf)), ovf}, {a.start - block, "vmdk", a.size, nil}, {end, "mf", int64(len(manifest)), manifest},
	} {
		var header bytes.Buffer
		h := tar.Header{Name: a.machine.file(part.name), Size: part.size, Mode: mode, Format: tar.FormatGNU}
		if err := tar.NewWriter(&header).WriteHeader(&h); err != nil {
			return err
		}
		if _, err := a.file.WriteAt(append(header.Bytes(), part.content...), part.off); err != nil {
			return err
		}
	}
	end = a.after(end, int64(len(manifest)))
	_, err := a.file.WriteAt(make([]byte, ending), end)
	return err
}

// file returns the name of a file in the archive.
func (m Machine) file(suffix string) string { return m.Name + "." + suffix }

// ovf returns the description of a machine whose disk takes size bytes in the archive.
func (m Machine) ovf(size int64) []byte {
	firmware := "bios"
	if m.UEFI {
		firmware = "efi"
	}
	var name strings.Builder
	xml.EscapeText(&name, []byte(m.Name))
	return []byte(strings.NewReplacer("{name}", name.String(), "{firmware}", firmware, "{size}", fmt.Sprint(size), "{capacity}", fmt.Sprint(m.Size)).Replace(template))
}

// template is a machine with two processors, 2 GiB of memory, a SCSI disk and a network card. The elements of an item are sorted by name, as
// the schema requires.
const template = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" ` +
	`xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" ` +
	`xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="file1" ovf:href="{name}.vmdk" ovf:size="{size}"/>
  </References>
  <DiskSection>
    <Info>Disks</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ` +
	`ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="VM Network">
      <Description>The network of the machine</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>A virtual machine</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="101" vmw:osType="otherLinux64Guest">
      <Info>The operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>The hardware</Info>
      <System>
        <vssd:ElementName>Hardware</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:ElementName>2 processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>2048 MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SCSI controller</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection>
        <rasd:ElementName>Network card</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{firmware}"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`

const (
	magicAt = 257
	magic   = "ustar"

	mostFiles = 64 // entries of the archive
)

// Is reports whether a file is a tar archive.
func Is(file io.ReaderAt) bool {
	p := make([]byte, len(magic))
	return pieces.ReadFull(file, p, magicAt) == nil && string(p) == magic
}

// Find returns the offset and length of the only disk in an archive of size bytes.
func Find(file io.ReaderAt, size int64) (off, length int64, err error) {
	section := io.NewSectionReader(file, 0, size)
	r := tar.NewReader(section)
	for range mostFiles {
		h, err := r.Next()
		switch {
		case err == io.EOF && length == 0:
			return 0, 0, errors.New("the archive has no VMDK")
		case err == io.EOF:
			return off, length, nil
		case err != nil:
			return 0, 0, fmt.Errorf("the archive: %w", err)
		case h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".vmdk"):
			continue
		case length != 0:
			return 0, 0, errors.New("the archive has several disks")
		}
		if off, err = section.Seek(0, io.SeekCurrent); err != nil {
			return 0, 0, err
		}
		length = h.Size
	}
	return 0, 0, fmt.Errorf("the archive has more than %d files", mostFiles)
}
