package ova

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// Namespaces of a description (DSP0243, 1.1.0, 6.1).
const (
	envelope = "http://schemas.dmtf.org/ovf/envelope/1"
	cim      = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
	rasd     = cim + "ResourceAllocationSettingData"
	vssd     = cim + "VirtualSystemSettingData"
	vmware   = "http://www.vmware.com/schema/ovf"
)

// An element is one of XML, with the namespaces of its name and of its attributes.
type element struct {
	xml.Name
	attr map[xml.Name]string
	in   []*element
	text string
}

// parse reads a document, strictly.
func parse(t *testing.T, text []byte) *element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	top := &element{}
	for open := []*element{top}; ; {
		token, err := d.Token()
		if err == io.EOF {
			return top.in[0]
		}
		if err != nil {
			t.Fatal(err)
		}
		here := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{Name: token.Name, attr: map[xml.Name]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name] = a.Value
			}
			here.in = append(here.in, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			here.text += string(token)
		}
	}
}

// names returns the names of the elements in another one, those of DMTF's envelope without a namespace.
func (e *element) names() (names []string) {
	for _, c := range e.in {
		name := c.Local
		if c.Space != envelope {
			name = c.Space[strings.LastIndexByte(c.Space, '/')+1:] + ":" + name
		}
		names = append(names, name)
	}
	return names
}

// all returns the elements with a name of the envelope.
func (e *element) all(name string) (list []*element) {
	for _, c := range e.in {
		if c.Name == (xml.Name{Space: envelope, Local: name}) {
			list = append(list, c)
		}
	}
	return list
}

// one returns the only element with a name.
func (e *element) one(t *testing.T, name string) *element {
	t.Helper()
	list := e.all(name)
	if len(list) != 1 {
		t.Fatalf("%s has %d elements %s: %v", e.Local, len(list), name, e.names())
	}
	return list[0]
}

// need fails unless an element has exactly these attributes, all qualified as the schema says (attributeFormDefault).
func (e *element) need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if e.attr[xml.Name{Space: envelope, Local: name}] == "" {
			t.Errorf("%s has no attribute ovf:%s: %v", e.Local, name, e.attr)
		}
	}
	if len(e.attr) != len(names) {
		t.Errorf("%s has the attributes %v, and should have %v", e.Local, e.attr, names)
	}
}

// ovfOf returns the value of an attribute of the envelope's namespace.
func (e *element) ovfOf(name string) string { return e.attr[xml.Name{Space: envelope, Local: name}] }

// describe returns the description of a machine.
func describe(t *testing.T, m Machine) *element { return parse(t, m.ovf(1234)) }

// The description follows DMTF's schema DSP8023: elements in the order of its sequences, attributes in its namespace, and what refers to
// something else finds it.
func TestSchema(t *testing.T) {
	e := describe(t, Machine{Name: "web", UEFI: true, Size: 5 << 20})
	if e.Name != (xml.Name{Space: envelope, Local: "Envelope"}) {
		t.Fatalf("the document is %v", e.Name)
	}
	order(t, e, "References", "DiskSection", "NetworkSection", "VirtualSystem")
	file := e.one(t, "References").one(t, "File")
	file.need(t, "id", "href", "size")
	section(t, e.one(t, "DiskSection"), "Disk")
	disk := e.one(t, "DiskSection").one(t, "Disk")
	disk.need(t, "diskId", "fileRef", "capacity", "capacityAllocationUnits", "format")
	if disk.ovfOf("fileRef") != file.ovfOf("id") || file.ovfOf("href") != "web.vmdk" || file.ovfOf("size") != "1234" || disk.ovfOf("capacity") != "5242880" {
		t.Errorf("file %v, disk %v", file.attr, disk.attr)
	}
	section(t, e.one(t, "NetworkSection"), "Network")
	network := e.one(t, "NetworkSection").one(t, "Network")
	network.need(t, "name")
	order(t, network, "Description")
	system := e.one(t, "VirtualSystem")
	system.need(t, "id")
	order(t, system, "Info", "Name", "OperatingSystemSection", "VirtualHardwareSection")
	section(t, system.one(t, "OperatingSystemSection"))
	hardware := system.one(t, "VirtualHardwareSection")
	section(t, hardware, slices.Concat([]string{"System"}, slices.Repeat([]string{"Item"}, 5), []string{"ovf:Config"})...)
	settings(t, hardware.one(t, "System"), vssd, "ElementName", "InstanceID", "VirtualSystemType")
	items(t, hardware, "ovf:/disk/"+disk.ovfOf("diskId"), network.ovfOf("name"))
}

// order fails unless an element has these ones in it, in this order.
func order(t *testing.T, e *element, names ...string) {
	t.Helper()
	if got := e.names(); !slices.Equal(got, names) {
		t.Errorf("%s has %v, want %v", e.Local, got, names)
	}
}

// section checks that a section begins with its text, which every program can show.
func section(t *testing.T, e *element, names ...string) {
	t.Helper()
	order(t, e, append([]string{"Info"}, names...)...)
	if e.in[0].text == "" {
		t.Errorf("%s says nothing", e.Local)
	}
}

// settings checks that an element has settings of one class of CIM, sorted by name, as the class is in its schema, and once each.
func settings(t *testing.T, e *element, class string, required ...string) map[string]string {
	t.Helper()
	values, last := map[string]string{}, ""
	for _, s := range e.in {
		if s.Space != class || s.Local <= last || len(s.in) > 0 || strings.TrimSpace(s.text) == "" {
			t.Errorf("%s in %s %q, after %q, of %s", s.Local, e.Local, s.text, last, s.Space)
		}
		last, values[s.Local] = s.Local, s.text
	}
	for _, name := range required {
		if values[name] == "" {
			t.Errorf("%s has no %s: %v", e.Local, name, values)
		}
	}
	return values
}

// items checks the parts of the machine: each has an identifier of its own, and parents, disk and network exist.
func items(t *testing.T, hardware *element, disk, network string) {
	t.Helper()
	types, kinds := map[string]string{}, []string{}
	for _, item := range hardware.all("Item") {
		v := settings(t, item, rasd, "ElementName", "InstanceID", "ResourceType")
		if types[v["InstanceID"]] != "" || v["Parent"] != "" && types[v["Parent"]] != "6" {
			t.Errorf("item %v after %v", v, types)
		}
		if h, c := v["HostResource"], v["Connection"]; h != "" && h != disk || c != "" && c != network {
			t.Errorf("item %v, the disk is %s and the network %s", v, disk, network)
		}
		types[v["InstanceID"]] = v["ResourceType"]
		kinds = append(kinds, v["ResourceType"])
	}
	if want := []string{"3", "4", "6", "17", "10"}; !slices.Equal(kinds, want) { // processors, memory, SCSI controller, disk, network card
		t.Errorf("the machine has the resources %v, want %v", kinds, want)
	}
}

// The firmware is a setting of VMware's, which other programs may ignore.
func TestFirmware(t *testing.T) {
	for uefi, want := range map[bool]string{true: "efi", false: "bios"} {
		e := describe(t, Machine{Name: "web", UEFI: uefi, Size: 1 << 20}).one(t, "VirtualSystem").one(t, "VirtualHardwareSection")
		config := e.in[len(e.in)-1]
		want := map[xml.Name]string{{Space: vmware, Local: "key"}: "firmware", {Space: vmware, Local: "value"}: want, {Space: envelope, Local: "required"}: "false"}
		if config.Name != (xml.Name{Space: vmware, Local: "Config"}) || fmt.Sprint(config.attr) != fmt.Sprint(want) {
			t.Errorf("%v has %v, want %v", config.Name, config.attr, want)
		}
	}
}

// No name breaks the document.
func TestNames(t *testing.T) {
	const name = `a<b>&"c'd`
	e := describe(t, Machine{Name: name, Size: 1 << 20})
	if got := e.one(t, "VirtualSystem").one(t, "Name").text; got != name {
		t.Errorf("the name is %q", got)
	}
	if got := e.one(t, "References").one(t, "File").ovfOf("href"); got != name+".vmdk" {
		t.Errorf("the disk is %q", got)
	}
}
