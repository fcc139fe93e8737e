"use strict"
// The page of `face2anime serve`: sends a picture to /faces and shows what comes back.

const part = id => document.getElementById(id)
const NAMES = { anime: ["photo", "anime", "photo again"], photo: ["drawing", "photo", "drawing again"] }
let picture = null // the last one, which another model or direction is asked about again
let waiting = null // aborts the request that nobody needs any more

function say(text, kind = "") {
  part("status").textContent = text
  part("status").className = kind
}

function fail(text) {
  show([], [])
  say(text, "wrong")
}

/** An object URL of a base64 PNG: a link to it downloads at any length. */
function url(base64) {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0))
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }))
}

function article(face, number, count, to) {
  const made = part("face").content.cloneNode(true)
  if (count > 1) made.querySelector("h2").textContent = `Face ${number} of ${count}, from the left`
  const stem = (picture.name || "picture").replace(/\.[^.]*$/, "")
  made.querySelectorAll("figure").forEach((figure, place) => {
    const image = figure.querySelector("img")
    const name = document.createElement("span")
    name.textContent = NAMES[to][place]
    image.src = url(face[image.className])
    image.alt = `Face ${number}: ${name.textContent}`
    const link = figure.querySelector("a")
    if (!link) return figure.querySelector("figcaption").replaceChildren(name)
    link.before(name)
    link.href = image.src
    const suffix = count > 1 ? `-${number}` : ""
    link.download = `${stem}${suffix}-${image.className}.png`
    link.setAttribute("aria-label", `Download face ${number}: ${name.textContent}`)
  })
  return made
}

function show(faces, notes, to) {
  document.querySelectorAll("#faces img").forEach(image => URL.revokeObjectURL(image.src))
  part("faces").className = ""
  part("faces").replaceChildren(...faces.map((face, i) => article(face, i + 1, faces.length, to)))
  part("notes").replaceChildren(...notes.map(note => {
    const line = document.createElement("li")
    line.textContent = note
    return line
  }))
}

async function ask() {
  if (!picture) return
  const most = Number(part("ask").dataset.most)
  waiting?.abort()
  if (picture.size > most) return fail(`the picture has more than ${most / 1e6} MB: save it smaller`)
  const mine = waiting = new AbortController()
  const to = part("to").value
  part("faces").className = "old"
  say("looking for faces and drawing them …", "busy")
  try {
    const query = new URLSearchParams({ model: part("model").value, to })
    const answer = await fetch(`/faces?${query}`, { method: "POST", body: picture, signal: mine.signal })
    const type = answer.headers.get("Content-Type") || ""
    if (!type.startsWith("application/json")) throw new Error()
    const told = await answer.json()
    if (mine !== waiting) return
    if (told.error) return fail(told.error)
    const count = told.faces.length
    const one = told.faces[0]?.eyes === null ? "the middle of the picture" : "1 face"
    say(count > 1 ? `${count} faces` : count ? one : told.notes.shift(), count ? "" : "wrong")
    show(told.faces, told.notes, to)
  } catch (error) {
    if (mine === waiting && error.name !== "AbortError")
      fail("the server does not answer: look at the terminal in which it runs")
  }
}

function take(file) {
  if (!file) return
  picture = file
  ask()
}

function closeCamera() {
  part("video").srcObject?.getTracks().forEach(track => track.stop())
  part("video").srcObject = null
  part("shoot").hidden = true
}

async function openCamera() {
  try {
    part("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } })
    part("shoot").hidden = false
    part("take").focus()
  } catch (error) {
    fail("the camera cannot be had: allow it in the browser, or choose a picture")
  }
}

function shoot() {
  const video = part("video"), canvas = document.createElement("canvas")
  if (!video.videoWidth) return // it has not begun
  canvas.width = video.videoWidth
  canvas.height = video.videoHeight
  canvas.getContext("2d").drawImage(video, 0, 0)
  closeCamera()
  canvas.toBlob(blob => take(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95)
}

part("file").addEventListener("change", event => {
  take(event.target.files[0])
  event.target.value = "" // so that the same file can be chosen again
})
part("to").addEventListener("change", ask)
part("model").addEventListener("change", ask)
part("ask").addEventListener("submit", event => event.preventDefault())
part("camera").addEventListener("click", openCamera)
part("stop").addEventListener("click", closeCamera)
part("take").addEventListener("click", shoot)
addEventListener("paste", event => take([...event.clipboardData.files][0]))
addEventListener("dragover", event => {
  event.preventDefault()
  document.body.classList.add("over")
})
addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.body.classList.remove("over")
})
addEventListener("drop", event => {
  event.preventDefault()
  document.body.classList.remove("over")
  take(event.dataTransfer.files[0])
})
