//! What the device of every row says, and the login it wants.

use super::{
    outlet,
    stub::{Stub, answer},
};
use hal::power::Outlet;
use std::sync::{Arc, Mutex};

/// What a device of `model` whose second outlet is on or off says, to whatever it is asked.
fn says(model: &str, on: bool) -> String {
    let bit = u8::from(on);
    let word = if on { "On" } else { "Off" };
    let lower = word.to_lowercase();
    let upper = word.to_uppercase();
    match model {
        "ip9850" => format!("<p>p61=0,p62={bit},p63=0,p64=0</p>"),
        "digipower" => format!("<p>0,1,2,3,4,5,6,7,8,9,0,{bit},0,0,0,0,0,0</p>"),
        "digitalloggers_http" => format!("<div id=\"state\">{:02x}</div>", 0xfd | bit << 1),
        "digitalloggers_restapi" => format!("[{on}]"),
        "eg_pms2_network" => {
            format!("<a href=\"login.html\">Log Out</a> var sockstates = [0,{bit},1,1];")
        }
        "esphome-http" => format!("{{\"id\":\"switch-2\",\"state\":\"{upper}\",\"value\":{on}}}"),
        "eth008" => format!("Status: 0{bit}000000"),
        "gude" => format!("<td>Power Port 1</td>OFF\n<td>Power Port 2</td><td>{upper}</td>"),
        "gude24" => {
            format!("<meta content=\"Power Port 1,0\">\n<meta content=\"Power Port 2,{bit}\">")
        }
        "gude8316" => {
            format!("<meta content=\"Power Port ,0\">\n<meta content=\"Power Port ,{bit}\">")
        }
        "gude8031" => format!("{{\"outputs\":[{{\"state\":0}},{{\"state\":{bit}}}]}}"),
        "home-assistant-http" => format!("{{\"entity_id\":\"switch.2\",\"state\":\"{lower}\"}}"),
        "intellinet" => format!("<response><outletStat2>{lower}</outletStat2></response>"),
        "laa" => "{\"cmd\":[\"laacli\"],\"code\":0,\"stderr\":\"\",\"stdout\":\"\"}".to_owned(),
        "lxa-iobus" => format!("{{\"code\":0,\"error_message\":\"\",\"result\":{bit}}}"),
        "lxa-tac" => format!("\"{word}\""),
        "lxa-tac-output" => on.to_string(),
        "mfi_mpower" => format!(
            "{{\"status\":\"success\",\"sensors\":[{{\"port\":1,\"output\":0}},{{\"port\":2,\"output\":{bit}}}]}}"
        ),
        "netio" => format!("<html>0 {bit} 1 1</html>"),
        "netiojson" => {
            format!("{{\"Outputs\":[{{\"ID\":1,\"State\":0}},{{\"ID\":2,\"State\":{bit}}}]}}")
        }
        "pe6216" => format!("<OutletRelay><02>{upper}</02></OutletRelay>"),
        "servertechpro2" => format!("{{\"id\":\"AA2\",\"state\":\"{word}\"}}"),
        "SERVO" | "SERVO-warm-reset" | "SERVO-power-state" => {
            "<methodResponse><params></params></methodResponse>".to_owned()
        }
        "shelly_gen1" => format!("{{\"ison\":{on},\"has_timer\":false}}"),
        "shelly_gen2" => format!(
            "{{\"id\":1,\"result\":{{\"was_on\":{},\"output\":{on}}}}}",
            !on
        ),
        "tasmota" => format!("{{\"POWER2\":\"{upper}\"}}"),
        "sonoff_s20_tasmota" => format!("{{\"POWER\":\"{upper}\"}}"),
        "tinycontrol" => format!("<response><out1>1</out1><out2>{bit}</out2></response>"),
        "tinycontrol_tcpdu" => format!("{{\"out1\":1,\"out2\":{bit}}}"),
        "ubus" => {
            let status = if on { "Searching" } else { "Disabled" };
            format!(
                "{{\"id\":1,\"result\":[0,{{\"ports\":{{\"lan2\":{{\"status\":\"{status}\"}}}}}}]}}"
            )
        }
        _ => bit.to_string(),
    }
}

pub(crate) fn outlet_of(model: &str) -> Outlet {
    outlet(match model {
        "lxa-iobus" => "IOMux-1/out0",
        "laa" => "5v",
        "lxa-tac" => "dut",
        "lxa-tac-output" => "output/out_0/asserted",
        "servertechpro2" => "AA2",
        "SERVO" | "SERVO-warm-reset" | "SERVO-power-state" => "1",
        "sonoff_s20_tasmota" => "1",
        _ => "2",
    })
}

/// A device of `model` that follows `state` and wants the login that its row sends.
pub(crate) async fn device(model: &str, state: Arc<Mutex<bool>>) -> Stub {
    let model = model.to_owned();
    Stub::start(move |request| {
        let digest = ["esphome-http", "digitalloggers_restapi", "shelly_gen2"];
        if digest.contains(&model.as_str()) && !request.contains("\r\nAuthorization: Digest ") {
            let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\", qop=\"auth\", \
                             algorithm=SHA-256\r\n";
            return answer("401 Unauthorized", challenge, "");
        }
        let cookie = if model == "mfi_mpower" {
            "Set-Cookie: SESSION=123; Path=/\r\n"
        } else {
            ""
        };
        answer("200 OK", cookie, &says(&model, *state.lock().unwrap()))
    })
    .await
}
