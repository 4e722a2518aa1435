package description

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/keyed"
	"imprint/internal/units"
	"imprint/partition"
)

//go:generate go test -run TestSchemaIsCommitted -update .

// An object is a JSON object.
type object = map[string]any

// SchemaTitle is the title of the JSON Schema. It is the same in all versions, which `imprint init` relies on to replace an
// old one.
const SchemaTitle = "imprint image description"

// Schema returns the JSON Schema (draft 2020-12) of the language, for editors. It describes every key and its values. What
// depends on several keys only Parse checks; the schema accepts whatever Parse accepts.
func Schema() []byte {
	s := tableSchema(reflect.TypeFor[Image]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = SchemaTitle
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // only strings, numbers and lists of them
	}
	return out.Bytes()
}

// tableSchema returns the schema of a table. Other keys are not allowed in it, as in [Parse].
func tableSchema(table reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range tables.Of(table) {
		properties[f.Name] = fieldSchema(f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	slices.Sort(required)
	s := object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	if table == reflect.TypeFor[Entry]() {
		s["anyOf"] = []object{{"required": []string{"kernel", "title"}}, {"required": []string{"system"}}}
	}
	return s
}

// fieldSchema returns the schema of a key that holds a Value, a List or a table.
func fieldSchema(f keyed.Field) object {
	s := valueSchema(f)
	if f.List {
		s = object{"type": "array", "items": s}
		if f.Required {
			s["minItems"] = 1
		}
		if f.Most > 0 {
			s["maxItems"] = f.Most
		}
	}
	s["description"] = f.Doc
	if f.Default != nil {
		s["default"] = f.Default
	}
	if f.Examples != nil {
		s["examples"] = f.Examples
	}
	return s
}

// valueSchema returns the schema of a single value. Types of our own have several forms in TOML, all of which the schema
// lists.
func valueSchema(f keyed.Field) object {
	switch f.Type {
	case reflect.TypeFor[Template]():
		return object{"type": "string"}
	case reflect.TypeFor[Size]():
		if f.Path == "partition.size" {
			return object{"anyOf": append(sizeSchema(), object{"const": "auto"})}
		}
		return object{"anyOf": sizeSchema()}
	case reflect.TypeFor[Free]():
		return object{"anyOf": append(sizeSchema(), object{"type": "string", "pattern": "^[0-9]+%$"})}
	case reflect.TypeFor[Mode]():
		return object{"type": "string", "pattern": "^[0-7]{3,4}$"}
	case reflect.TypeFor[Flag]():
		names := slices.Sorted(maps.Keys(flagBits))
		return object{"anyOf": []object{{"enum": names}, {"type": "integer", "minimum": 0, "maximum": 2}, {"type": "integer", "minimum": 48, "maximum": 63}}}
	}
	switch f.Type.Kind() {
	case reflect.Struct:
		return tableSchema(f.Type)
	case reflect.String:
		return textSchema(f)
	case reflect.Bool:
		return object{"type": "boolean"}
	}
	return integerSchema(f)
}

// sizeSchema returns the two forms of a size.
func sizeSchema() []object {
	return []object{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|TiB)$"}}
}

// textSchema returns the schema of a text. Partition types are special: a name, a GUID or a number.
func textSchema(f keyed.Field) object {
	if f.Path == "partition.type" {
		return object{"anyOf": []object{{"enum": partition.TypeNames()}, {"type": "string", "pattern": partition.UUIDForm + "|" + mbrTypeForm}}}
	}
	s := object{"type": "string", "minLength": 1}
	if f.Words != nil {
		s["enum"] = f.Words
	}
	if f.Pattern != "" {
		s["pattern"] = f.Pattern
	}
	return s
}

// integerSchema returns the schema of an integer, with its bounds.
func integerSchema(f keyed.Field) object {
	s := object{"type": "integer"}
	if f.Numbers != nil {
		s["enum"] = f.Numbers
	}
	if f.Most > 0 {
		s["minimum"], s["maximum"] = 0, f.Most
	}
	return s
}

// defaults holds the default of each key, as a description would write it. They are those of [Image.WithDefaults].
var defaults = map[string]any{
	"format": FormatRaw, "unique": false, "sector-size": defaultSectorSize, "table": partition.GPT, "mbr-active": false,
	"store.flavor": closure.Nix.Name, "store.hard-link": false,
	"source.path": "/", "source.unsigned": false,
	"boot.loader": noLoader(), "boot.timeout": defaultTimeout,
	"partition.size": "auto", "partition.grow": false, "partition.grow-at-boot": false, "partition.align": units.FormatBytes(units.Grain),
	"partition.dir.mode": "0755", "partition.dir.uid": 0, "partition.dir.gid": 0,
	"partition.file.mode": "0644", "partition.file.uid": 0, "partition.file.gid": 0,
	"partition.link.uid": 0, "partition.link.gid": 0,
	"partition.tree.target":   "/",
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

	"source.url":                 {"https://cache.nixos.org", "s3://bucket?region=eu-west-1", "file:///srv/cache"},
	"source.trusted-public-keys": {array{"cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="}},
	"source.export":              {"closure.nar"},

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

	"output.path":  {"web.qcow2"},
	"output.level": {9},

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
	"partition.layer.env":    {"web"},
	"partition.layer.tag":    {"stable"},
	"partition.layer.source": {"layer.tar.gz", "files/"},
	"partition.layer.digest": {"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"},

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
