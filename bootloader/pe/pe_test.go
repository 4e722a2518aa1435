package pe

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/pe"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// stub returns systemd's stub, from which real kernel images are made.
const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

func bytesOf(t testing.TB, b tree.Blob) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(io.NewSectionReader(r, 0, b.Size()))
	if err != nil || int64(len(all)) != b.Size() {
		t.Fatalf("%d bytes of %d, %v", len(all), b.Size(), err)
	}
	return all
}

func readStub(t testing.TB) []byte {
	t.Helper()
	hosttest.NeedFile(t, stub)
	content, err := os.ReadFile(stub)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// many are more sections than there is room for in a stub's headers.
func many() []Section {
	var all []Section
	for i := range 20 {
		all = append(all, Section{"." + string(rune('a'+i)) + "sec", tree.Text(strings.Repeat(string(rune('a'+i)), 1+i*700))})
	}
	return all
}

// Another reader finds in the image the stub's sections as they were, and the new ones; none overlap in memory or in the file.
func TestAppend(t *testing.T) {
	old := readStub(t)
	for name, sections := range map[string][]Section{"few": {{".osrel", tree.Text("x")}, {".empty", tree.Text("")}}, "many": many()} {
		t.Run(name, func(t *testing.T) {
			b, err := Append(old, sections)
			if err != nil {
				t.Fatal(err)
			}
			all := bytesOf(t, b)
			f, err := pe.NewFile(bytes.NewReader(all))
			if err != nil {
				t.Fatal(err)
			}
			before, err := pe.NewFile(bytes.NewReader(old))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Sections) != len(before.Sections)+len(sections) {
				t.Fatalf("%d sections", len(f.Sections))
			}
			for i, s := range f.Sections {
				got, err := s.Data()
				if err != nil {
					t.Fatal(err)
				}
				var want []byte
				if i < len(before.Sections) {
					want, _ = before.Sections[i].Data()
				} else {
					want = bytesOf(t, sections[i-len(before.Sections)].Content)
					got = got[:s.VirtualSize]
				}
				if !bytes.Equal(got, want) {
					t.Errorf("section %s differs", s.Name)
				}
				if i > 0 && (s.VirtualAddress < f.Sections[i-1].VirtualAddress+f.Sections[i-1].VirtualSize ||
					s.Size > 0 && s.Offset < f.Sections[i-1].Offset+f.Sections[i-1].Size) {
					t.Errorf("section %s lies over %s", s.Name, f.Sections[i-1].Name)
				}
			}
			last, optional := f.Sections[len(f.Sections)-1], f.OptionalHeader.(*pe.OptionalHeader64)
			if end := last.VirtualAddress + last.VirtualSize; optional.SizeOfImage < end || optional.SizeOfImage%optional.SectionAlignment != 0 {
				t.Errorf("an image of %d bytes with sections up to %d", optional.SizeOfImage, end)
			}
			if int(last.Offset+last.Size) != len(all) {
				t.Errorf("%d bytes, the last section ends at %d", len(all), last.Offset+last.Size)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	good := readStub(t)
	spoil := func(change func(p []byte, at int)) []byte {
		p := bytes.Clone(good)
		change(p, int(le.Uint32(p[0x3c:])))
		return p
	}
	for want, p := range map[string][]byte{
		`begins with ""`:       nil,
		`begins with "#!"`:     []byte("#!/bin/sh" + strings.Repeat(" ", 100)),
		"no PE signature":      spoil(func(p []byte, at int) { p[at] = 'X' }),
		"magic number 0x10b":   spoil(func(p []byte, at int) { p[at+24] = 0x0b; p[at+25] = 1 }),
		"section table ends":   spoil(func(p []byte, at int) { p[at+6] = 0xff }),
		"alignment of 3 bytes": spoil(func(p []byte, at int) { le.PutUint32(p[at+24+36:], 3) }),
		"is signed":            spoil(func(p []byte, at int) { p[at+24+optCertificates] = 1 }),
		"and 0 in memory":      spoil(func(p []byte, at int) { le.PutUint32(p[at+24+32:], 0) }),
		"header has 0 bytes":   spoil(func(p []byte, at int) { le.PutUint16(p[at+20:], 0) }),
		"0 data directories":   spoil(func(p []byte, at int) { le.PutUint32(p[at+24+108:], 0) }),
		"with sections up to ": good[:len(good)/2],
	} {
		if _, err := Append(p, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// certificate returns a key, and a certificate signed by it.
func certificate(t testing.TB) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234567890), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), NotBefore: time.Now(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

// wrong fails the test unless sbverify refuses a signature.
func wrong(t *testing.T, certificate, image string) {
	t.Helper()
	if out, err := exec.Command("sbverify", "--cert", certificate, image).CombinedOutput(); err == nil || !strings.Contains(string(out), "fail") {
		t.Errorf("sbverify: %v\n%s", err, out)
	}
}

// sbverify accepts a signature, and refuses a changed image or another certificate.
func TestSign(t *testing.T) {
	hosttest.Need(t, "sbverify")
	key, cert := certificate(t)
	_, other := certificate(t)
	dir := t.TempDir()
	store := func(name string, p []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, p, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	asPEM := func(c *x509.Certificate) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	good, bad := store("good.pem", asPEM(cert)), store("bad.pem", asPEM(other))
	for _, sections := range [][]Section{{{".a", tree.Text("odd size")}}, many()} {
		unsigned, err := Append(readStub(t), sections)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := Sign(unsigned, key, []*x509.Certificate{cert, other})
		if err != nil {
			t.Fatal(err)
		}
		p := bytesOf(t, signed)
		image := store("image.efi", p)
		hosttest.Run(t, "sbverify", "--cert", good, image)
		wrong(t, bad, image)
		if !bytes.Contains(p, other.Raw) {
			t.Error("the second certificate is not in it")
		}
		again, err := Sign(unsigned, key, []*x509.Certificate{cert, other})
		if err != nil || !bytes.Equal(bytesOf(t, again), p) {
			t.Errorf("a second signature differs, %v", err)
		}
		p[unsigned.Size()-300] ^= 1
		wrong(t, good, store("changed.efi", p))
		if _, err := Sign(signed, key, []*x509.Certificate{cert}); err == nil || !strings.Contains(err.Error(), "signed already") {
			t.Errorf("a second signature on the first: %v", err)
		}
	}
}

// tiny returns the smallest image with a section, which suits a fuzzer better than a stub.
func tiny() []byte {
	const at, optionalSize, headers, raw = 0x40, 240, 0x200, 0x200
	p := make([]byte, headers+raw)
	copy(p, "MZ")
	le.PutUint32(p[offPE:], at)
	copy(p[at:], "PE\x00\x00")
	i := image{head: p, at: at}
	le.PutUint16(p[at+coffMachine:], 0x8664)
	le.PutUint16(p[at+coffSections:], 1)
	le.PutUint16(p[at+coffOptionalSize:], optionalSize)
	le.PutUint16(p[at+optional:], pePlus)
	for field, v := range map[int64]int64{
		optSectionAlign: page, optFileAlign: 0x200, optImageSize: 2 * page, optHeaderSize: headers, optDirectories: 16,
	} {
		i.setOpt32(field, v)
	}
	s := p[i.table():]
	copy(s, ".text")
	for n, v := range []uint32{raw, page, raw, headers} {
		le.PutUint32(s[8+4*n:], v)
	}
	return p
}

// Any bytes as a stub are an error, or result in an image that another reader reads.
func FuzzAppend(f *testing.F) {
	f.Add(readStub(f))
	f.Add([]byte("MZ"))
	f.Add(tiny())
	hosttest.Fuzz(f, func(t *testing.T, p []byte) {
		b, err := Append(p, many()[:7])
		if err != nil {
			return
		}
		if b.Size() > int64(len(p))+1<<20 {
			t.Errorf("%d bytes of %d", b.Size(), len(p))
		}
		i, err := parse(bytesOf(t, b))
		if err != nil {
			t.Errorf("the result is none: %v", err)
		}
		for n := i.sections - 7; n < i.sections; n++ {
			if s := i.section(n); s[0] != '.' {
				t.Errorf("section %d is %q", n, s[:8])
			}
		}
	})
}

// Any bytes as an image are an error, or result in the same image followed by a signature.
func FuzzSign(f *testing.F) {
	key, cert := certificate(f)
	unsigned, err := Append(readStub(f), many()[:3])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytesOf(f, unsigned))
	f.Add(readStub(f))
	f.Add(tiny())
	hosttest.Fuzz(f, func(t *testing.T, p []byte) {
		signed, err := Sign(tree.Text(string(p)), key, []*x509.Certificate{cert})
		if err != nil {
			return
		}
		q := bytesOf(t, signed)
		i, err := parse(bytes.Clone(q))
		if err != nil {
			t.Fatalf("the result is none: %v", err)
		}
		at, size := i.opt32(optCertificates), i.opt32(optCertificates+4)
		if at%certificateAlign != 0 || at < int64(len(p)) || at+size != int64(len(q)) {
			t.Errorf("certificates at %d, %d bytes, of %d", at, size, len(q))
		}
		i.setOpt32(optCertificates, 0)
		i.setOpt32(optCertificates+4, 0)
		if !bytes.Equal(i.head[:len(p)], p) {
			t.Error("more has changed than where the certificates are")
		}
	})
}

// The machine type of any bytes is 0, or the one that another reader finds.
func FuzzMachine(f *testing.F) {
	f.Add(readStub(f)[:4096], uint16(4096))
	f.Add(tiny(), uint16(0x200))
	f.Add([]byte("MZ"+strings.Repeat("\x00", 0x3a)+"\xff\xff\xff\xff"), uint16(64))
	f.Add([]byte("MZ"+strings.Repeat("\x00", 0x3a)+"\x40\x00\x00\x00PE\x00\x00\x64\x86"), uint16(70))
	hosttest.Fuzz(f, func(t *testing.T, p []byte, length uint16) {
		p = p[:min(len(p), int(length))]
		m := Machine(p)
		if m != 0 && (len(p) < 0x40 || string(p[:2]) != "MZ" || !bytes.Contains(p, []byte{'P', 'E', 0, 0, byte(m), byte(m >> 8)})) {
			t.Errorf("%x has the machine type %#x", p, m)
		}
		if other, err := pe.NewFile(bytes.NewReader(p)); err == nil && string(p[:2]) == "MZ" && m != other.Machine {
			t.Errorf("the machine type is %#x, and debug/pe says %#x", m, other.Machine)
		}
	})
}
