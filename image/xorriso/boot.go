package xorriso

import (
	"fmt"
	"strings"
	"time"
)

// partitionOffset is where the ISO's own partition begins, in blocks of 2048 bytes: xorriso writes a second volume descriptor and directory
// tree for it, so that the partition can be mounted as well as the whole disk.
const partitionOffset = "16"

// boot tells how the image boots, and its dates.
func (s *script) boot() error {
	s.command("-volume_date", "c", fmt.Sprintf("=%d", s.img.Created))
	s.command("-volume_date", "m", fmt.Sprintf("=%d", s.img.Modified))
	b := s.img.Boot
	if b.BIOS != "" {
		s.bootImage("grub", "bin_path="+b.BIOS)
		s.bootImage("any", s.catalog()...)
		s.bootImage("any", "platform_id=0x00", "load_size=2048", "boot_info_table=on")
		s.bootImage("grub", "grub2_boot_info=on")
	}
	if b.MBR != nil {
		path, off, err := s.spool.find(s.ctx, b.MBR)
		if err != nil {
			return err
		}
		s.bootImage("grub", "grub2_mbr="+interval(path, off, b.MBR.Size()))
	}
	if b.ESP != nil {
		if err := s.esp(); err != nil {
			return err
		}
	}
	s.bootImage("any", "partition_offset="+partitionOffset, "gpt_disk_guid="+s.img.DiskGUID.String())
	return nil
}

// esp appends the EFI system partition and makes it what UEFI boots from a CD.
func (s *script) esp() error {
	path, off, err := s.spool.find(s.ctx, s.img.Boot.ESP)
	if err != nil {
		return err
	}
	if s.img.Boot.BIOS != "" {
		s.bootImage("any", "next")
	} else {
		s.bootImage("any", s.catalog()...)
	}
	s.command("-append_partition", "2", "0xef", interval(path, off, s.img.Boot.ESP.Size()))
	s.bootImage("any", "appended_part_as=gpt", "efi_path=--interval:appended_partition_2:all::")
	return nil
}

// catalog names the boot catalog, which no directory shows, by a path that nothing else has.
func (s *script) catalog() []string {
	name := "boot.cat"
	for s.img.Tree.Root().Child(name) != nil {
		name += "_"
	}
	return []string{"cat_path=/" + name, "cat_hidden=on"}
}

func (s *script) bootImage(kind string, specs ...string) {
	for _, spec := range specs {
		s.command("-boot_image", kind, spec)
	}
}

// interval tells a part of a file where a path is expected.
func interval(path string, off, size int64) string {
	return fmt.Sprintf("--interval:local_fs:%d-%d::%s", off, off+size-1, path)
}

// UUID is what mount, udev and GRUB take for the UUID of an ISO that was modified at a time in seconds since 1970: the digits of its date
// in the volume descriptor (ECMA-119, 8.4.27), year first and hundredths of a second last.
func UUID(modified int64) string {
	return strings.Replace(time.Unix(modified, 0).UTC().Format("2006-01-02-15-04-05.00"), ".", "-", 1)
}
