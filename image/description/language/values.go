package language

import (
	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/units"
	"imprint/partition"
)

// defaults holds the default of each key, as a description would write it. They are those that a description gets when it is resolved.
var defaults = map[string]any{
	"format": FormatRaw, "unique": false, "sector-size": SectorSize, "table": partition.GPT, "mbr-active": false,
	"store.flavor": closure.Nix.Name, "store.hard-link": false,
	"source.path": "/", "source.unsigned": false,
	"boot.loader": noLoader(), "boot.timeout": Timeout,
	"partition.size": "auto", "partition.grow": false, "partition.grow-at-boot": false, "partition.align": units.FormatBytes(units.Grain),
	"partition.dir.mode": "0755", "partition.dir.uid": 0, "partition.dir.gid": 0,
	"partition.file.mode": "0644", "partition.file.uid": 0, "partition.file.gid": 0,
	"partition.link.uid": 0, "partition.link.gid": 0,
	"partition.tree.target": "/",
	"step.directory":        "/", "step.network": false, "step.inputs.writable": false,
	"partition.file.override": false, "partition.link.override": false, "partition.tree.override": false, "partition.fstab": false,
}

// noLoader returns the word for an image without a boot loader.
func noLoader() string {
	row, err := bootloader.Named("")
	if err != nil {
		panic(err) // the empty name is always known
	}
	return row.Name
}

// array is an example of an array.
type array = []any

// examples holds values for each key, for the schema and the manual. A key with a fixed set of words has none.
var examples = map[string][]any{
	"name":  {"web"},
	"seed":  {"web 2026-01"},
	"epoch": {1700000000},
	"uuid":  {"3e4cbd52-8cf3-4f0c-a3a5-3d5b8a1a3d5e"},

	"size":           {"8GiB"},
	"size-multiple":  {"1GiB"},
	"entries-offset": {"512KiB"},

	"source.path":         {"/mnt"},
	"source.registration": {"closure-info/registration"},
	"source.image":        {"old.raw"},
	"source.partition":    {"root"},

	"source.url":                 {"https://cache.nixos.org", "s3://bucket?region=eu-west-1", "file:///srv/cache", "daemon"},
	"source.trusted-public-keys": {array{"cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="}},
	"source.export":              {"closure.nar"},

	"input.name":     {"firmware"},
	"input.sha256":   {"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
	"input.size":     {14856},
	"input.locators": {array{"file:firmware.bin", "https://example.org/firmware.bin"}, array{"annex:data/rootfs.tar.zst"}},

	"closure.name":     {"system"},
	"closure.roots":    {array{"./result"}},
	"closure.profile":  {"system"},
	"closure.gc-roots": {array{closure.Nix.GCRoots() + "/booted-system"}},

	"boot.timeout":          {10},
	"boot.efi-binary":       {"build/loader.efi"},
	"boot.default":          {"web"},
	"boot.console":          {array{"tty0", "ttyS0,115200"}},
	"boot.sign-key":         {"keys/db.key"},
	"boot.sign-certificate": {"keys/db.pem"},
	"boot.menu-color":       {"white/blue"},
	"boot.menu-highlight":   {"blue/white"},
	"boot.background":       {"splash.png"},
	"boot.extra-lines":      {array{"set gfxpayload=keep"}},
	"boot.system":           {"${closure.system}"},
	"boot.entry.system":     {"${closure.system}"},
	"boot.entry.title":      {"web"},
	"boot.entry.kernel":     {"${closure.system}/kernel", "${partition.root}/boot/vmlinuz-*"},
	"boot.entry.initrd":     {array{"${closure.system}/initrd"}, array{"${partition.root}/boot/initrd.img-*"}},
	"boot.entry.cmdline":    {"init=${closure.system}/init root=PARTUUID=${partition.root.partuuid}"},
	"boot.entry.submenu":    {"Advanced options"},
	"boot.entry.devicetree": {"${closure.system}/dtbs"},

	"raw.offset": {"8KiB"},
	"raw.source": {"u-boot.bin"},

	"output.path":      {"web.qcow2"},
	"output.level":     {9},
	"output.partition": {"root"},

	"output.entrypoint": {array{"${closure.app}/bin/app"}},
	"output.cmd":        {array{"--help"}},
	"output.env":        {array{"PATH=/bin"}},
	"output.workdir":    {"/srv"},
	"output.user":       {"1000:100"},

	"partition.name":              {"root"},
	"partition.type":              {"esp", "root", "0x0c"},
	"partition.mbr-type":          {"0x0c"},
	"partition.fat":               {32},
	"partition.number":            {3},
	"partition.partlabel":         {"_empty"},
	"partition.features":          {array{"^metadata_csum", "^64bit"}},
	"partition.compression-level": {19},
	"partition.block-size":        {"1MiB"},

	"partition.size":     {"512MiB", "auto"},
	"partition.min-size": {"1GiB"},
	"partition.free":     {"256MiB", "20%"},
	"partition.offset":   {"16MiB"},
	"partition.align":    {"4MiB"},
	"partition.label":    {"ROOT"},
	"partition.uuid":     {"2b6f5d1e-6a0f-4b53-9d35-6d6a5b0f3c11", "1234-ABCD"},
	"partition.partuuid": {"9a3c1f4e-5f0b-4a57-8a43-0c1f5f6c2d10"},
	"partition.flags":    {array{"read-only"}, array{"legacy-bios-bootable", 60}},
	"partition.content":  {"firmware.bin"},
	"partition.verity":   {"root-verity"},
	"partition.inside":   {FormatISO},
	"partition.path":     {"/root.img"},
	"partition.closures": {array{"system"}},

	"partition.dir.path":     {"/tmp"},
	"partition.dir.mode":     {"1777"},
	"partition.dir.uid":      {1000},
	"partition.dir.gid":      {100},
	"partition.file.path":    {"/etc/hostname"},
	"partition.file.text":    {"web\n"},
	"partition.file.source":  {"motd"},
	"partition.file.mode":    {"0600"},
	"partition.file.uid":     {1000},
	"partition.file.gid":     {100},
	"partition.link.path":    {"/run/booted-system"},
	"partition.link.target":  {"${closure.system}"},
	"partition.layer.from":   {"oci:debian:12@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
	"partition.layer.env":    {"web"},
	"partition.layer.tag":    {"stable"},
	"partition.layer.source": {"layer.tar.gz", "files/"},
	"partition.layer.digest": {"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"},

	"partition.layer.step": {"packages"},
	"step.name":            {"packages"},
	"step.run":             {array{"dpkg", "-i", "/packages/web.deb"}},
	"step.env":             {map[string]any{"LANG": "C"}},
	"step.user":            {"www-data"},
	"step.group":           {"www-data"},
	"step.inputs.source":   {"packages/"},
	"step.inputs.target":   {"/packages"},
	"step.outputs":         {array{"/usr", "/var/lib/dpkg"}},
	"step.cache.name":      {"apt"},
	"step.cache.target":    {"/var/cache/apt/archives"},
	"step.timeout":         {600},
	"step.memory":          {"2GiB"},
	"step.file-size":       {"1GiB"},
	"step.processes":       {100},

	"partition.tree.source": {"rootfs.tar", "files/"},
	"partition.tree.target": {"/srv"},

	"partition.tree.exclude": {[]any{"/proc/*", "*.pyc"}},

	"partition.mount":      {"/home"},
	"partition.dir.user":   {"alice"},
	"partition.dir.group":  {"staff"},
	"partition.file.user":  {"alice"},
	"partition.file.group": {"staff"},
	"partition.link.user":  {"alice"},
	"partition.link.group": {"staff"},
	"partition.attr.path":  {"/home/alice/**"},
	"partition.attr.mode":  {"0750"},
	"partition.attr.uid":   {1000},
	"partition.attr.gid":   {100},
	"partition.attr.user":  {"alice"},
	"partition.attr.group": {"staff"},
}
